import { ask } from "./api.js";
import { el, table } from "./dom.js";
import { ago, count } from "./words.js";

/** What the jobs of a task came to. */
export function jobsTable(jobs, cancelled) {
  const cancel = (job) =>
    ["waiting", "running"].includes(job.state)
      ? el("button", {
        type: "button",
        "data-key": job.id,
        "aria-label": `Cancel ${job.kind}`,
        onclick: cancelled(`Cancel ${job.kind}`, () => ask(`/api/v1/jobs/${job.id}`, { method: "DELETE" })),
      }, "Cancel")
      : "";
  return table(
    ["Job", "State", "Begun", "Says", ""],
    jobs.map((job) => [
      job.kind,
      el("span", { class: stateClassOf(job) }, stateOf(job)),
      ago(job.created_at),
      job.error === null ? found(job) || job.progress : [job.error.message, job.error.hint].filter(Boolean).join(". "),
      cancel(job),
    ]),
  );
}

/** `equal 3 min ago`; undefined where none was run since the server began. */
export function lastVerification(jobs) {
  const job = jobs.find(({ kind, state }) => kind === "verify" && state === "done");
  return job === undefined ? undefined : { verdict: stateOf(job), when: ago(job.ended_at) };
}

function stateOf({ state, exit, kind }) {
  if (kind === "verify" && state === "done") return exit === 0 ? "equal" : exit === 3 ? "equal in part" : "not equal";
  return exit === null || exit === 0 ? state : `${state}, exit ${exit}`;
}

function stateClassOf({ state, exit }) {
  if (state === "running" || state === "waiting" || state === "cancelled") return "";
  return exit === 0 ? "good" : "bad";
}

/** The result in a sentence. */
function found({ kind, result }) {
  if (result === null) return "";
  if (kind === "backups" && Array.isArray(result)) {
    return result.length === 1 ? "1 backup" : `${count(result.length)} backups`;
  }
  if (kind === "check" && Array.isArray(result)) {
    const failed = result.filter(({ ok }) => ok === "fail");
    return failed.length === 0
      ? `all ${count(result.length)} answer`
      : failed.slice(0, 3).map(({ what, detail }) => `${what}: ${detail}`).join("; ");
  }
  if (kind !== "verify" || !Array.isArray(result.collections)) return "";
  const bad = result.collections.filter(({ verdict }) => verdict === "different");
  if (bad.length === 0) return `${count(result.collections.length)} collections compared`;
  const named = bad.slice(0, 3).map(({ source, missing, extra, content }) =>
    `${source} (${count(missing)} missing, ${count(extra)} extra, ${count(content)} of other content)`
  );
  return `${count(bad.length)} of ${count(result.collections.length)} collections differ: ${named.join(", ")}${
    bad.length > named.length ? ", …" : ""
  }`;
}
