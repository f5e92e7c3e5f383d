// Writes the FileDescriptorSet of the Milvus 3.0.0 protobuf files that Tidemark reads and writes to standard output.
// The definitions come from Milvus' own released Go modules; field numbers were only ever added from 2.2 to 3.0,
// so the newest definitions read every older release.
package main

import (
	"os"

	_ "github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	_ "github.com/milvus-io/milvus-proto/go-api/v3/msgpb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/datapb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/etcdpb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/indexpb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/internalpb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/messagespb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/querypb"
	_ "github.com/milvus-io/milvus/pkg/v3/proto/streamingpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := 0; i < file.Imports().Len(); i++ {
			add(file.Imports().Get(i))
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	for _, path := range []string{"milvus.proto", "msg.proto", "data_coord.proto", "etcd_meta.proto", "index_coord.proto", "internal.proto", "messages.proto", "query_coord.proto", "streaming.proto"} {
		file, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if err != nil {
			panic(path + ": " + err.Error())
		}
		add(file)
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(bytes); err != nil {
		panic(err)
	}
}
