/** Debian's Prometheus, for one test: the rules and the configuration of `deploy/prometheus` with other times and targets. */
import { parse } from "yaml";
import { debianFile } from "./debian.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";

export interface PrometheusOptions {
  /** Text of its configuration; targets, times and the file of the rules are replaced. */
  readonly config: string;
  /** Text of the rules; of each only `for` is replaced. */
  readonly rules: string;
  /** `host:port`s that are scraped, each second. */
  readonly targets: readonly string[];
}

export interface Alert {
  readonly state: "pending" | "firing";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Prometheus extends AsyncDisposable {
  /** What is pending or fires now. */
  alerts(): Promise<Alert[]>;
  /** The values of an instant query by the label `pipeline`; empty where it is missing. */
  query(expression: string): Promise<Map<string, number>>;
  /** Unix ms when the rule was last evaluated that was evaluated first; throws where one of them cannot be evaluated. */
  evaluated(): Promise<number>;
}

/** Of every rule that has one: long enough to be pending first. */
const FOR = "2s";

export async function startPrometheus({ config, rules, targets }: PrometheusOptions): Promise<Prometheus> {
  const program = await debianFile("prometheus", "usr/bin/prometheus");
  const folder = await Deno.makeTempDir({ prefix: "tidemark-prometheus-" });
  const groups = (parse(rules) as { groups: { rules: Record<string, unknown>[] }[] }).groups.map((group) => ({
    ...group,
    rules: group.rules.map((rule) => rule.for === undefined ? rule : { ...rule, for: FOR }),
  }));
  const made = parse(config) as { scrape_configs: Record<string, unknown>[] };
  // JSON is YAML.
  await Deno.writeTextFile(`${folder}/alerts.yaml`, JSON.stringify({ groups }));
  await Deno.writeTextFile(
    `${folder}/prometheus.yaml`,
    JSON.stringify({
      ...made,
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["alerts.yaml"],
      scrape_configs: made.scrape_configs.map((one) => ({ ...one, static_configs: [{ targets }] })),
    }),
  );
  const url = `http://127.0.0.1:${freePort()}`;
  const process = new Deno.Command(program, {
    args: [
      `--config.file=${folder}/prometheus.yaml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${new URL(url).host}`,
      "--log.level=warn",
    ],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  const reading = (async () => {
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) log += text;
  })();
  // deno-lint-ignore no-explicit-any
  const ask = async (path: string): Promise<any> => {
    const response = await fetch(url + path);
    const body = await response.text();
    if (!response.ok) throw new Error(`Prometheus answers ${path} with ${response.status}: ${body}`);
    return body.startsWith("{") ? JSON.parse(body).data : body;
  };
  await eventually("Prometheus is ready", async () => await ask("/-/ready") !== "", {
    progress: () => log,
    details: () => log,
  });
  return {
    alerts: async () => (await ask("/api/v1/alerts")).alerts,
    query: async (expression) => {
      const { result } = await ask(`/api/v1/query?query=${encodeURIComponent(expression)}`) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return new Map(result.map(({ metric, value }) => [metric.pipeline ?? "", parseFloat(value[1])]));
    },
    evaluated: async () => {
      const answer = await ask("/api/v1/rules") as {
        groups: { rules: { name: string; health: string; lastError?: string; lastEvaluation: string }[] }[];
      };
      const all = answer.groups.flatMap((group) => group.rules);
      const wrong = all.filter(({ health }) => health === "err").map(({ name, lastError }) => `${name}: ${lastError}`);
      if (wrong.length > 0) throw new Error(`Rules that cannot be evaluated: ${wrong.join("; ")}`);
      return Math.min(...all.map(({ lastEvaluation }) => Date.parse(lastEvaluation)));
    },
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await Promise.all([process.status, reading]);
      await Deno.remove(folder, { recursive: true });
    },
  };
}
