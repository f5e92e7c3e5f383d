import { LineProcess } from "./lines.ts";

export interface NodeOptions {
  readonly name: string;
  readonly port: number;
  readonly gossip: number;
  /** Of the gossip of all, with commas. */
  readonly seeds: string;
}

/** One of Woodpecker's own servers; its data stay when it is killed. */
export class WoodpeckerNode {
  readonly address: string;
  readonly #program: string;
  readonly #dir: string;
  readonly #options: NodeOptions;
  #process: LineProcess | undefined;

  constructor(program: string, dir: string, options: NodeOptions) {
    this.address = `127.0.0.1:${options.port}`;
    this.#program = program;
    this.#dir = dir;
    this.#options = options;
  }

  /** Returns when it serves. */
  async start(): Promise<void> {
    const { name, port, gossip, seeds } = this.#options;
    const folder = `${this.#dir}/${name}`;
    await Deno.mkdir(folder, { recursive: true });
    const args = ["serve", `${this.#dir}/config.yaml`, name, String(port), String(gossip), folder, seeds];
    this.#process = new LineProcess(this.#program, args, `${this.#dir}/${name}.log`);
    await this.#process.next();
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }
}
