/**
 * Loads the Kafka client without the work that it does at its import and that nobody needs: it compiles a validator for the
 * options of each of its calls, with ajv, half of the time that its loading takes. They are used only with its option
 * `strict`, which is not set here. So while it loads, compiling is put off until a validator is called.
 */
import { Ajv2020 } from "ajv/dist/2020.js";

interface Validator {
  (...data: unknown[]): unknown;
  errors?: unknown;
}

type Compile = (this: { opts: { validateSchema?: unknown } }, ...schema: unknown[]) => Validator;

/** Runs `load`; validators that are made meanwhile are compiled at their first call. */
export async function withLateValidators<T>(load: () => Promise<T>): Promise<T> {
  const core = Object.getPrototypeOf(Ajv2020.prototype) as { compile: Compile };
  const { compile } = core;
  core.compile = function (this: { opts: { validateSchema?: unknown } }, ...schema) {
    let made: Validator | undefined;
    const validator: Validator = (...data) => {
      made ??= unchecked(this.opts, () => compile.apply(this, schema));
      const result = made(...data);
      validator.errors = made.errors;
      return result;
    };
    return validator;
  };
  try {
    return await load();
  } finally {
    core.compile = compile;
  }
}

/** That the client's own schemas are schemas needs no proof: it would cost more than all else. */
function unchecked<T>(options: { validateSchema?: unknown }, work: () => T): T {
  const { validateSchema } = options;
  options.validateSchema = false;
  try {
    return work();
  } finally {
    options.validateSchema = validateSchema;
  }
}
