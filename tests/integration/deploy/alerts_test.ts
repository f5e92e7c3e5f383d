/** A real Prometheus on the rules of `deploy/prometheus`, beside servers and runs that are well first and then are not. */
import assert from "node:assert/strict";
import { alertRules, read } from "../../deploy/deploy_files.ts";
import { eventually } from "../../stack/eventually.ts";
import { freePort } from "../../stack/free_port.ts";
import { type Alert, startPrometheus } from "../../stack/prometheus.ts";
import { pipeline, REAL, type RunningServer, serverRig, untilState } from "../server/server_rig.ts";
import { recordedRuns } from "./recorded_run.ts";

async function create(server: RunningServer, config: object): Promise<void> {
  const made = await server.request("POST", "/api/v1/tasks", { config });
  assert.equal(made.status, 201, await made.text());
}

function said({ labels: { alertname, pipeline = "" }, state }: Alert): string {
  return `${alertname} ${pipeline} ${state}`;
}

Deno.test("Prometheus has nothing to say of runs that are well, and each alert of the rules fires when it should", async () => {
  await using recorded = await recordedRuns();
  await using reals = await serverRig(
    `server: { listen: "127.0.0.1:0", allowed_paths: ["${recorded.folder}"] }
tasks: { stuck_after: 10m }`,
    undefined,
    REAL,
  );
  // Nobody listens there: what is told to it is given up.
  await using fakes = await serverRig(`server:
  listen: "127.0.0.1:0"
  webhooks: [ { url: "http://127.0.0.1:${freePort()}/hook", secret: "a-secret-of-the-test", give_up_after: 1s } ]
tasks: { restart_after: 100ms, restart_max: 200ms }
`);
  const [real, fake] = [await reals.start(), await fakes.start()];
  await create(real, recorded.config("copy"));
  // Its queue keeps an hour, and nothing of that is gone.
  await create(fake, pipeline("brief"));
  const beside = await recorded.run("beside");
  await using prometheus = await startPrometheus({
    config: read("prometheus/scrape.yaml"),
    rules: read("prometheus/alerts.yaml"),
    targets: [new URL(real.url).host, new URL(fake.url).host, beside],
  });

  const well = async () =>
    await Promise.all([
      prometheus.query('tidemark_collections{phase="tail"} > 0'),
      prometheus.query("tidemark_lag_seconds < 60"),
      prometheus.query("tidemark_backup_base_age_seconds >= 0"),
    ]);
  await eventually("both runs follow the log", async () => {
    const brief = await prometheus.query('tidemark_channel_until_loss_seconds{pipeline="brief"} > 0');
    return brief.has("brief") && (await well()).every((one) => one.has("beside") && one.has("copy"));
  }, { progress: async () => JSON.stringify((await well()).map((one) => [...one])), details: real.log });
  const since = Date.now();
  await eventually("every rule was evaluated again and again since", async () => {
    return await prometheus.evaluated() > since + 3000;
  }, { progress: async () => `${await prometheus.evaluated()}` });
  assert.deepEqual((await prometheus.alerts()).map(said), []);

  const told = new Map<string, Alert>();
  const fires = (alertname: string, labels: Readonly<Record<string, string>> = {}) =>
    eventually(`${alertname} fires`, async () => {
      const alerts = await prometheus.alerts();
      const found = alerts.find((alert) =>
        alert.state === "firing" &&
        Object.entries({ alertname, ...labels }).every(([name, value]) => alert.labels[name] === value)
      );
      if (found !== undefined) told.set(alertname, found);
      return found !== undefined;
    }, { progress: async () => `${(await prometheus.alerts()).map(said).sort()}`, details: real.log });

  // A run that stands still, one whose etcd goes away, and stand-ins for all other troubles.
  const { pid } = await untilState(real, "copy", "running");
  Deno.kill(pid, "SIGSTOP");
  await create(fake, pipeline("ill"));
  for (const name of ["lost", "crashing"]) await create(fake, pipeline(name));
  await recorded.etcd.kill();
  await fires("TidemarkWaits", { pipeline: "beside" });
  await fires("TidemarkTaskDown", { pipeline: "lost" });
  await fires("TidemarkTaskRestarts", { pipeline: "crashing" });
  await fires("TidemarkNotificationsDropped", { result: "dropped" });
  await fires("TidemarkLag", { pipeline: "ill" });
  await fires("TidemarkLogLoss", { pipeline: "ill" });
  await fires("TidemarkBlocked", { pipeline: "ill" });
  await fires("TidemarkSinkHeld", { pipeline: "ill" });
  await fires("TidemarkHeldRows", { pipeline: "ill" });
  await fires("TidemarkCheckpointOld", { pipeline: "ill" });
  await fires("TidemarkBackupFailed", { pipeline: "ill", sink: "vault" });
  await fires("TidemarkBackupOld", { pipeline: "ill", sink: "vault" });
  await fires("TidemarkSilent", { pipeline: "copy" });
  assert.match(told.get("TidemarkSilent")!.annotations.summary!, /^copy has said nothing for \d+m /);

  await real.kill("SIGKILL");
  // It stands still, so that it does not hear that its server has gone.
  Deno.kill(pid, "SIGKILL");
  await fake.kill("SIGKILL");
  assert.ok(!(await prometheus.alerts()).map(said).some((text) => text.startsWith("TidemarkAbsent")), "a run is left");
  await recorded.end();
  await fires("TidemarkAbsent");
  assert.deepEqual([...told.keys()].sort(), alertRules().map(({ alert }) => alert).sort());
});
