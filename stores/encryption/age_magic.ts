/** Every file of age begins so (https://age-encryption.org/v1, "Header"). */
export const AGE_MAGIC: Uint8Array = new TextEncoder().encode("age-encryption.org/v1\n");
