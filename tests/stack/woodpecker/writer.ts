import type { Message } from "../../fakes/woodpecker_writer.ts";
import { woodpeckerPosition } from "../../../pipeline/positions/mod.ts";
import type { Position } from "../../../pipeline/model/mod.ts";
import { LineProcess } from "./lines.ts";

interface Answer {
  readonly ids?: readonly (readonly [segment: number, entry: number])[];
  readonly error?: string;
}

/** A process with Woodpecker's own client in it, which does one thing after the other. */
export class OwnWriter {
  readonly #process: LineProcess;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(process: LineProcess) {
    this.#process = process;
  }

  static async start(program: string, dir: string, number: number): Promise<OwnWriter> {
    const process = new LineProcess(program, ["write", `${dir}/config.yaml`], `${dir}/writer-${number}.log`);
    await process.next();
    return new OwnWriter(process);
  }

  async create(log: string): Promise<void> {
    await this.#do({ do: "create", log });
  }

  async delete(log: string): Promise<void> {
    await this.#do({ do: "delete", log });
  }

  /** From now on nobody else writes it. */
  async open(log: string): Promise<void> {
    await this.#do({ do: "open", log });
  }

  /** Returns when all are acknowledged. */
  async append(log: string, messages: readonly Message[]): Promise<Position[]> {
    const text = new TextDecoder();
    const { ids = [] } = await this.#do({
      do: "append",
      log,
      messages: messages.map(({ value, headers = {} }) => ({
        payload: value.toBase64(),
        properties: Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, text.decode(bytes)])),
      })),
    });
    return ids.map(([segment, entry]) => woodpeckerPosition(BigInt(segment), BigInt(entry)));
  }

  /** Up to and with this entry. */
  async truncate(log: string, segment: number, entry: number): Promise<void> {
    await this.#do({ do: "truncate", log, segment, entry });
  }

  async close(log: string): Promise<void> {
    await this.#do({ do: "close", log });
  }

  async kill(): Promise<void> {
    await this.#process.kill();
  }

  async #do(command: Record<string, unknown>): Promise<Answer> {
    const asked = this.#last.then(async () => {
      await this.#process.write(command);
      return await this.#process.next() as Answer;
    });
    this.#last = asked.catch(() => {});
    const answer = await asked;
    if (answer.error !== undefined) throw new Error(`${command.do} ${command.log}: ${answer.error}`);
    return answer;
  }
}
