/** Keys of a profile, a role, or the usual AWS sources. The only importer of AWS' credential providers. */
import { fromIni, fromNodeProviderChain, fromTemporaryCredentials, fromTokenFile } from "@aws-sdk/credential-providers";
import type { S3KeyProvider, S3Keys, S3StoreOptions } from "./s3_options.ts";

export interface S3KeyProviderOptions {
  readonly region: string;
  readonly profile?: string;
  /** Through the environment's proxy, where it names one for STS. */
  readonly agents?: S3StoreOptions["agents"];
  /** The keys that are given, to take the role with; undefined: those of the profile, or the usual AWS sources. */
  keys(): Promise<S3Keys | undefined>;
  readonly role?: {
    readonly arn: string;
    readonly sessionName: string;
    readonly durationSecs: number;
    readonly externalId?: string;
    /** Token of a web identity, which needs no keys. */
    readonly tokenFile?: string;
    readonly stsEndpoint?: string;
  };
}

/** Its keys are not remembered here: the client that they are for asks again some minutes before they end. */
export function createS3KeyProvider(options: S3KeyProviderOptions): S3KeyProvider {
  const { region, profile, role, agents } = options;
  const base = { region, ...(agents === undefined ? {} : { requestHandler: { ...agents } }) };
  const name = JSON.stringify([profile, role?.arn, role?.externalId]);
  if (role === undefined && profile === undefined) {
    const chain = fromNodeProviderChain({ clientConfig: base });
    return { name, keys: () => chain() };
  }
  if (role === undefined) {
    return { name, keys: () => fromIni({ profile: profile!, ignoreCache: true, clientConfig: base })() };
  }
  const clientConfig = { ...base, ...(role.stsEndpoint === undefined ? {} : { endpoint: role.stsEndpoint }) };
  if (role.tokenFile !== undefined) {
    const web = {
      webIdentityTokenFile: role.tokenFile,
      roleArn: role.arn,
      roleSessionName: role.sessionName,
      durationSeconds: role.durationSecs,
      clientConfig,
    };
    return { name, keys: () => fromTokenFile(web)() };
  }
  return {
    name,
    async keys() {
      const given = profile === undefined ? await options.keys() : undefined;
      const found = () =>
        profile === undefined
          ? fromNodeProviderChain({ clientConfig: base })
          : fromIni({ profile, ignoreCache: true, clientConfig: base });
      return await fromTemporaryCredentials({
        masterCredentials: given === undefined ? found() : { ...given },
        params: {
          RoleArn: role.arn,
          RoleSessionName: role.sessionName,
          DurationSeconds: role.durationSecs,
          ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
        },
        clientConfig,
      })();
    },
  };
}
