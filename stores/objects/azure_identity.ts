/** Tokens of Entra ID. The only importer of the identity client. */
import {
  ClientSecretCredential,
  DefaultAzureCredential,
  ManagedIdentityCredential,
  type TokenCredential,
  WorkloadIdentityCredential,
} from "@azure/identity";

export interface AzureIdentityOptions {
  readonly type: "default" | "managed" | "workload" | "client_secret";
  readonly tenantId?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** File with the pod's token; it is read again for every login. */
  readonly tokenFile?: string;
  readonly authority?: string;
  /** Of Entra ID itself, where it is not the public one; such an authority has no instance discovery. */
  readonly tls?: { readonly ca: string | undefined; readonly insecure: boolean };
}

/** The tokens are renewed by the client that asks for them, before they expire. */
export function createAzureIdentity(options: AzureIdentityOptions): TokenCredential {
  const { tls } = options;
  const own = tls?.ca !== undefined || tls?.insecure === true;
  const common = {
    ...(options.authority === undefined ? {} : { authorityHost: options.authority }),
    ...(own ? { tlsOptions: { ca: tls?.ca, rejectUnauthorized: tls?.insecure !== true } } : {}),
    ...(own && options.authority !== undefined ? { disableInstanceDiscovery: true } : {}),
  };
  const clientId = options.clientId === undefined ? {} : { clientId: options.clientId };
  const tenantId = options.tenantId === undefined ? {} : { tenantId: options.tenantId };
  switch (options.type) {
    case "default":
      return new DefaultAzureCredential({
        ...common,
        ...tenantId,
        ...(options.clientId === undefined
          ? {}
          : { managedIdentityClientId: options.clientId, workloadIdentityClientId: options.clientId }),
      });
    case "managed":
      return new ManagedIdentityCredential({ ...common, ...clientId });
    case "workload": {
      const tokenFilePath = options.tokenFile === undefined ? {} : { tokenFilePath: options.tokenFile };
      return new WorkloadIdentityCredential({ ...common, ...clientId, ...tenantId, ...tokenFilePath });
    }
    case "client_secret":
      return new ClientSecretCredential(options.tenantId!, options.clientId!, options.clientSecret!, common);
  }
}
