/** Tokens of Entra ID. The only importer of the identity client. */
import {
  ClientSecretCredential,
  DefaultAzureCredential,
  ManagedIdentityCredential,
  type TokenCredential,
  WorkloadIdentityCredential,
} from "@azure/identity";
import { rootCertificates } from "node:tls";

export interface AzureIdentityOptions {
  readonly type: "default" | "managed" | "workload" | "client_secret";
  readonly tenantId?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** File with the pod's token; it is read again for every login. */
  readonly tokenFile?: string;
  readonly authority?: string;
  /** Certificate authority of the store, which an authority of one's own shares; such a one has no instance discovery. */
  readonly tls?: { readonly ca: string | undefined };
}

/** The tokens are renewed by the client that asks for them, before they expire. */
export function createAzureIdentity(options: AzureIdentityOptions): TokenCredential {
  const { tls } = options;
  const common = {
    ...(options.authority === undefined ? {} : { authorityHost: options.authority }),
    // The store's authority beside the usual ones, not in their place: Entra ID itself may be the public one.
    ...(tls?.ca === undefined ? {} : { tlsOptions: { ca: [tls.ca, ...rootCertificates] } }),
    ...(tls?.ca !== undefined && options.authority !== undefined ? { disableInstanceDiscovery: true } : {}),
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
