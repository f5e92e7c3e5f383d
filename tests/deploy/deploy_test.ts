/** What can be said of `deploy/` without another program: names, versions, configurations, what a container may do. */
import assert from "node:assert/strict";
import { loadServerConfig } from "../../config/mod.ts";
import { METRICS, type MetricSpec } from "../../control/server/metrics.ts";
import { VERSION } from "../../control/version.ts";
import { complaint } from "../docs/command_line.ts";
import { alertRules, dashboardExpressions, documents, KUBERNETES, read } from "./deploy_files.ts";

const known = new Map<string, MetricSpec>(Object.values(METRICS).map((metric) => [metric.name, metric]));

/** Names of metrics that do not exist, and labels that they do not have. */
function strangers(expr: string): string[] {
  return [...expr.matchAll(/\b(tidemark_\w+)(?:\{([^}]*)\})?/g)].flatMap(([, name, matchers = ""]) => {
    const metric = known.get(name!);
    if (metric === undefined) return [name!];
    const labels = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!);
    return labels.filter((label) => !metric.labels.includes(label)).map((label) => `${name}{${label}}`);
  });
}

Deno.test("deploy: alerts and dashboard name metrics and labels that exist, and together every metric there is", () => {
  const expressions = [...alertRules(), ...dashboardExpressions()].map(({ expr }) => expr);
  assert.ok(expressions.length > 25);
  assert.deepEqual(expressions.flatMap(strangers), []);
  assert.deepEqual(strangers('tidemark_lag_seconds{sink="a"} + tidemark_nothing'), [
    "tidemark_lag_seconds{sink}",
    "tidemark_nothing",
  ]);
  const unused = [...known.keys()].filter((name) => !expressions.some((expr) => expr.includes(name)));
  // The same as the lag of the task, in parts.
  assert.deepEqual(unused, ["tidemark_channel_lag_seconds"]);
});

Deno.test("deploy: every alert is made to fire by the tests of the rules, and every one of them names a severity", () => {
  const [{ tests }] = documents("prometheus/alerts_test.yaml") as [{
    tests: { alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
  }];
  const [quiet, told] = tests.map(({ alert_rule_test }) => alert_rule_test);
  const names = alertRules().map(({ alert }) => alert);
  assert.deepEqual(alertRules().filter(({ labels }) => !["critical", "warning"].includes(labels.severity)), []);
  assert.deepEqual(
    quiet!.filter(({ exp_alerts }) => exp_alerts === undefined).map(({ alertname }) => alertname),
    names,
  );
  assert.deepEqual(
    told!.filter(({ exp_alerts = [] }) => exp_alerts.length === 1).map(({ alertname }) => alertname),
    names,
  );
});

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

/** The pods that the manifests make. */
// deno-lint-ignore no-explicit-any
function pods(): any[] {
  return KUBERNETES.flatMap(documents).flatMap(({ spec, kind }) => {
    if (kind === "CronJob") return [spec.jobTemplate.spec.template.spec];
    return kind === "Deployment" || kind === "StatefulSet" ? [spec.template.spec] : [];
  });
}

Deno.test("deploy: no container runs as root, writes outside of its volumes, or may become more than it is", async () => {
  assert.equal(pods().length, 3);
  for (const pod of pods()) {
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault");
    assert.equal(pod.automountServiceAccountToken, false);
    for (
      const { image, args, securityContext, volumeMounts } of [
        ...pod.initContainers ?? [],
        ...pod.containers,
      ] as Container[]
    ) {
      assert.equal(image, `tidemark:${VERSION}`);
      assert.equal(await complaint(args), undefined, args.join(" "));
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.deepEqual(volumeMounts.map(({ name }) => name).filter((name) => name === "state" || name === "tmp"), [
        "state",
        "tmp",
      ]);
    }
  }
});

Deno.test("deploy: the configurations inside of the manifests and of the Compose file are right", () => {
  const maps = KUBERNETES.flatMap(documents).filter(({ kind }) => kind === "ConfigMap");
  const [compose] = documents("compose.yaml");
  assert.equal(compose.services.tidemark.image, `tidemark:${VERSION}`);
  const texts = [...maps.map(({ data }) => data["server.yaml"]), compose.configs.server.content];
  assert.equal(texts.length, 2);
  for (const text of texts) {
    const { problems } = loadServerConfig(["server.yaml"], {
      readText: (path) => path === "server.yaml" ? text : `a token of ${path} that is long enough`,
    });
    assert.deepEqual(problems.map(({ message }) => message), []);
  }
});

Deno.test("deploy: what an orchestrator waits for at the end is longer than what the server waits for its tasks", () => {
  const { config } = loadServerConfig(["server.yaml"], { readText: () => "{}" });
  const drain = config!.tasks.drain / 1000;
  const [compose] = documents("compose.yaml");
  const unit = /^TimeoutStopSec=(\d+)$/m.exec(read("systemd/tidemark.service"))![1]!;
  const waits = [
    parseInt(compose.services.tidemark.stop_grace_period, 10),
    parseInt(unit, 10),
    ...pods().flatMap(({ terminationGracePeriodSeconds: seconds }) => seconds === undefined ? [] : [seconds]),
  ];
  assert.equal(waits.length, 4);
  assert.ok(waits.every((seconds) => seconds > drain), `${waits} and ${drain}`);
});
