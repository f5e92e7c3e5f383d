/** Moments as people give them: ISO time, hybrid timestamp, or "10m ago". */
import { TidemarkError } from "../pipeline/errors.ts";
import { hybridFromMs, type HybridTs, MAX_HYBRID_TS } from "../pipeline/model/mod.ts";
import { parseDuration } from "../pipeline/units/mod.ts";

const ISO = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;
const AGO = /^(.+?)\s*ago$/;
/** 2015 in hybrid form: smaller numbers are seconds or milliseconds, given by mistake. */
const SMALLEST_HYBRID = hybridFromMs(Date.UTC(2015, 0, 1));

/**
 * The largest hybrid timestamp of the moment: `14:05:00` includes everything of the millisecond that it names. A time
 * without a zone is UTC. Throws `usage`.
 */
export function parseMoment(text: string, now: Date): HybridTs {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return parseHybrid(trimmed);
  if (trimmed === "now") return endOf(now.getTime());
  const ago = AGO.exec(trimmed);
  if (ago !== null) {
    const ms = parseDuration(ago[1]!);
    if (ms === undefined) throw wrong(text, `\`${ago[1]}\` is not a duration such as 10m, 2h or 1d12h`);
    return endOf(now.getTime() - ms);
  }
  if (!ISO.test(trimmed)) throw wrong(text, "it has none of the known forms");
  let iso = trimmed.replace(" ", "T").replace(/\s+/g, "");
  if (iso.length === 10) iso += "T00:00:00";
  if (!/(Z|[+-]\d{2}:?\d{2})$/.test(iso)) iso += "Z";
  const ms = Date.parse(iso);
  if (Number.isNaN(ms) || !sameDay(iso, ms)) throw wrong(text, "there is no such day or hour");
  return endOf(ms);
}

function parseHybrid(digits: string): HybridTs {
  const ts = BigInt(digits);
  if (ts > MAX_HYBRID_TS) throw wrong(digits, "it is larger than a hybrid timestamp can be");
  if (ts < SMALLEST_HYBRID) {
    throw wrong(digits, "it is too small for a hybrid timestamp, and looks like seconds or milliseconds");
  }
  return ts;
}

function endOf(ms: number): HybridTs {
  return hybridFromMs(ms, (1n << 18n) - 1n);
}

/** `Date.parse` turns 31 February into a day of March. */
function sameDay(iso: string, ms: number): boolean {
  const zone = /([+-])(\d{2}):?(\d{2})$/.exec(iso.slice(10));
  const offset = zone === null
    ? 0
    : (zone[1] === "-" ? -1 : 1) * (parseFloat(zone[2]!) * 60 + parseFloat(zone[3]!)) * 60_000;
  return new Date(ms + offset).toISOString().slice(0, 10) === iso.slice(0, 10);
}

function wrong(text: string, why: string): TidemarkError {
  return new TidemarkError("usage", `Not a moment: ${JSON.stringify(text)}, ${why}`, {
    hint:
      'Give an ISO time ("2026-11-19T14:05:00Z", UTC where no zone is named), a hybrid timestamp of Milvus, or "10m ago".',
  });
}
