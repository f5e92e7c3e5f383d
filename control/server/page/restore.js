import { el } from "./dom.js";

/** The newest base that can be restored to the moment; undefined where none can. */
export function backupFor(backups, moment) {
  return backups.filter(({ restorable }) =>
    restorable && Date.parse(restorable.from.iso) <= moment && moment <= Date.parse(restorable.to.iso) &&
    !restorable.gaps.some(({ from, to }) => Date.parse(from.iso) <= moment && moment <= Date.parse(to.iso))
  ).sort((a, b) => a.takenMs - b.takenMs).at(-1);
}

/** What to write and to run for one moment; the task's own configuration says where the backups are. */
export function restoreForm(backups, config, latest) {
  const input = el("input", {
    id: "moment",
    value: latest,
    autocomplete: "off",
    spellcheck: "false",
    "data-key": "moment",
  });
  const text = el("pre", { tabindex: 0, "aria-label": "How to restore", "data-key": "restore" });
  const show = () => {
    const given = input.value.trim();
    const moment = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(given) ? given : `${given}Z`);
    const backup = backupFor(backups, moment);
    text.textContent = backup === undefined
      ? `No backup can be restored to ${given || "that moment"}. Expected an ISO time in one of the ranges.`
      : restoreText(backup, config, new Date(moment).toISOString());
  };
  input.addEventListener("input", show);
  show();
  return el(
    "div",
    {},
    el("div", { class: "bar" }, el("label", { for: "moment" }, "Restore to the moment (UTC)"), input),
    text,
  );
}

function restoreText(backup, config, iso) {
  const { storage } = config.sinks?.[backup.place] ??
    Object.values(config.sinks ?? {}).find(({ type }) => type === "backup") ?? {};
  const file = [
    "# restore.yaml",
    `pipeline: restore-${config.pipeline}`,
    `sources: { backup: { name: ${JSON.stringify(backup.name)}, storage: ${JSON.stringify(storage ?? {})} } }`,
    'sinks: { replica: { type: milvus, address: "HOST:19530" } }',
    "state: { type: file, path: ./state }",
  ];
  if (JSON.stringify(storage ?? {}).includes("***")) file.splice(1, 0, "# Put the secrets in the place of ***.");
  return [
    ...file,
    "",
    "tidemark plan --config restore.yaml",
    `tidemark backup restore --config restore.yaml --until "${iso}"`,
  ].join("\n");
}
