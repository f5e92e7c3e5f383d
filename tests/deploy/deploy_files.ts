/** What `deploy/` holds. */
import { parseAllDocuments } from "yaml";

export const DEPLOY = new URL("../../deploy/", import.meta.url);

export const read = (path: string): string => Deno.readTextFileSync(new URL(path, DEPLOY));

/** Every document of a YAML file. */
// deno-lint-ignore no-explicit-any
export function documents(path: string): any[] {
  const parsed = parseAllDocuments(read(path));
  return (Array.isArray(parsed) ? parsed : []).map((document) => document.toJS());
}

export const KUBERNETES = ["server", "sidecar", "backup", "network", "servicemonitor"].map((name) =>
  `kubernetes/${name}.yaml`
);

/** Expressions of the dashboard, its variables filled in. */
export function dashboardExpressions(): { readonly title: string; readonly expr: string }[] {
  const { panels } = JSON.parse(read("grafana/tidemark.json")) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  return panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ title, expr: expr.replaceAll("$pipeline", ".*") }))
  );
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
}
export function alertRules(): AlertRule[] {
  const [{ groups }] = documents("prometheus/alerts.yaml") as [
    { groups: { rules: AlertRule[] }[] },
  ];
  return groups.flatMap(({ rules }) => rules);
}
