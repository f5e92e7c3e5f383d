/** Units in which people write configuration, and their schemas. */
export * from "./duration.ts";
export * from "./enumerate.ts";
export * from "./plural.ts";
export * from "./size.ts";
