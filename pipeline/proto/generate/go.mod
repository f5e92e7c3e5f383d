module tidemark/proto

go 1.26.4

require (
	github.com/milvus-io/milvus-proto/go-api/v3 v3.0.0
	github.com/milvus-io/milvus/pkg/v3 v3.0.0
	google.golang.org/protobuf v1.36.11
)

require (
	golang.org/x/net v0.55.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
	golang.org/x/text v0.37.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260406210006-6f92a3bedf2d // indirect
	google.golang.org/grpc v1.80.0 // indirect
)
