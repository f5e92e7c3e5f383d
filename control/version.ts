/** Version of the program, as `--version` and the files that it writes say it. */
export const VERSION = "0.1.0";
