/** Tokens of Google's login. The only importer of its client. */
import { AwsClient, GoogleAuth, IdentityPoolClient, JWT, UserRefreshClient } from "google-auth-library";
import { TidemarkError } from "../../pipeline/errors.ts";

export interface GcsLogin {
  /** Header of the next request; renewed by the client before the token expires. */
  authorization(): Promise<string>;
  /** The service refused `used` though it has not expired: the next one is asked for anew. */
  refused(used: string): void;
}

const SCOPES = ["https://www.googleapis.com/auth/devstorage.read_write"];

type TokenClient = { getAccessToken(): Promise<string | null | undefined | { token?: string | null }> };

/** `credentials`: what a key file holds; undefined: the usual Google sources. Throws `config` for a file of another kind. */
export function createGcsLogin(credentials: string | undefined): GcsLogin {
  let client = tokenClient(credentials);
  let last = "";
  return {
    async authorization() {
      const found = await client.getAccessToken();
      const token = typeof found === "object" ? found?.token : found;
      if (!token) throw new Error("Google's login gave no token");
      return last = `Bearer ${token}`;
    },
    refused(used) {
      if (used === last) client = tokenClient(credentials);
    },
  };
}

/** By the kind of file: what the client reads of any kind by itself, it warns of. */
function tokenClient(credentials: string | undefined): TokenClient {
  if (credentials === undefined) return new GoogleAuth({ scopes: SCOPES });
  const file = JSON.parse(credentials);
  switch (file.type) {
    case "service_account":
      return serviceAccount(file);
    case "external_account": {
      const settings = { ...file, scopes: SCOPES };
      const aws = /^aws/.test(file.credential_source?.environment_id ?? "");
      return aws ? new AwsClient(settings) : new IdentityPoolClient(settings);
    }
    case "authorized_user":
      return new UserRefreshClient({
        clientId: file.client_id,
        clientSecret: file.client_secret,
        refreshToken: file.refresh_token,
      });
  }
  throw new TidemarkError("config", `Credentials of type ${JSON.stringify(file.type)} are not known`, {
    hint: "Give the key file of a service account, or a configuration of workload identity federation.",
  });
}

interface ServiceAccountFile {
  readonly client_email: string;
  readonly private_key: string;
  readonly private_key_id?: string;
  readonly token_uri?: string;
}

/**
 * Asks where the file says, `token_uri`, as Google's other clients do: this one knows the public cloud's place alone, which is
 * neither that of a sovereign cloud nor of one's own.
 */
function serviceAccount({ client_email, private_key, private_key_id, token_uri }: ServiceAccountFile): TokenClient {
  const client = new JWT({
    email: client_email,
    key: private_key,
    scopes: SCOPES,
    ...(private_key_id === undefined ? {} : { keyId: private_key_id }),
    ...(token_uri === undefined ? {} : { additionalClaims: { aud: token_uri } }),
  });
  if (token_uri !== undefined) {
    client.transporter.interceptors.request.add({
      resolved: (request) => Promise.resolve(Object.assign(request, { url: new URL(token_uri) })),
    });
  }
  return client;
}
