// Messages of a log as a streaming node of Milvus writes them, by Milvus' own builders, for tests.
//
//	streaming       actions as lines of JSON, answers as lines of JSON, one for each
//
// Who asks decides what happens, and what the node gives a message: its time, its last confirmed message, its term.
// 64-bit numbers are decimal texts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/msgpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"github.com/milvus-io/milvus/pkg/v3/proto/messagespb"
	"github.com/milvus-io/milvus/pkg/v3/streaming/util/message"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// action is what a proxy or a coordinator asks for, and what the node adds to it.
type action struct {
	Kind          string      `json:"kind"`
	Vchannel      string      `json:"vchannel"`
	Collection    int64       `json:"collection,string"`
	Name          string      `json:"name"`
	Db            string      `json:"db"`
	DbId          int64       `json:"dbId,string"`
	Partition     int64       `json:"partition,string"`
	PartitionName string      `json:"partitionName"`
	Segment       int64       `json:"segment,string"`
	Rows          [][2]number `json:"rows"`
	Keys          []number    `json:"keys"`
	// By the proxy's clock.
	Clock     uint64     `json:"clock,string"`
	MsgId     int64      `json:"msgId,string"`
	Vchannels []string   `json:"vchannels"`
	Pchannels []string   `json:"pchannels"`
	Segments  []number   `json:"segments"`
	Job       int64      `json:"job,string"`
	Broadcast *broadcast `json:"broadcast"`
	Altered   altered    `json:"altered"`
	// Of an insert: columns that were added to its collection.
	Columns int `json:"columns"`
	Tt        uint64     `json:"tt,string"`
	// The offset of the last confirmed message; none: its own.
	Confirmed *number `json:"confirmed"`
	Term      int64   `json:"term,string"`
	Txn       int64   `json:"txn,string"`
}

type broadcast struct {
	Id        uint64   `json:"id,string"`
	Vchannels []string `json:"vchannels"`
}

// altered is what a change of a collection makes of it; Columns: how many were added to its schema until then.
type altered struct {
	Columns    int               `json:"columns"`
	Name       *string           `json:"name"`
	Db         *database         `json:"db"`
	Properties map[string]string `json:"properties"`
}

type database struct {
	Id   int64  `json:"id,string"`
	Name string `json:"name"`
}

// number is a 64-bit number as a decimal text.
type number int64

func (n *number) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%d", n)
	return err
}

type answer struct {
	Payload    []byte            `json:"payload"`
	Properties map[string]string `json:"properties"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<30)
	for lines.Scan() {
		var asked action
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fail(fmt.Errorf("%s: %w", lines.Text(), err))
		}
		msg := stamped(asked, built(asked))
		if err := out.Encode(answer{msg.Payload(), msg.Properties().ToRawMap()}); err != nil {
			fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// offset is the id of a message in Kafka. Milvus' own type of it comes with a client of Kafka, which doubles the building time.
type offset struct {
	message.MessageID
	at int64
}

func (id offset) Marshal() string {
	return message.EncodeInt64(id.at)
}

// keepalive is what a transaction of a proxy has.
const keepalive = 10 * time.Second

// stamped adds what the streaming node adds before it appends.
func stamped(asked action, msg message.MutableMessage) message.MutableMessage {
	msg = msg.WithTimeTick(asked.Tt)
	if asked.Confirmed == nil {
		msg = msg.WithLastConfirmedUseMessageID()
	} else {
		msg = msg.WithLastConfirmed(offset{at: int64(*asked.Confirmed)})
	}
	if asked.Term != 0 {
		msg = msg.WithWALTerm(asked.Term)
	}
	if asked.Txn != 0 {
		msg = msg.WithTxnContext(message.TxnContext{TxnID: message.TxnID(asked.Txn), Keepalive: keepalive})
	}
	return msg
}

type builder[H, B proto.Message, S any] interface {
	WithHeader(H) S
	WithBody(B) S
	WithVChannel(string) S
	WithAllVChannel() S
	WithBroadcast([]string, ...message.OptBuildBroadcast) S
	BuildMutable() (message.MutableMessage, error)
	BuildBroadcast() (message.BroadcastMutableMessage, error)
}

// one is a message to one vchannel, or to all of a pchannel where none is named.
func one[H, B proto.Message, S builder[H, B, S]](asked action, empty S, header H, body B) message.MutableMessage {
	b := empty.WithHeader(header).WithBody(body)
	if asked.Vchannel == "" {
		b = b.WithAllVChannel()
	} else {
		b = b.WithVChannel(asked.Vchannel)
	}
	msg, err := b.BuildMutable()
	if err != nil {
		fail(err)
	}
	return msg
}

// many is the copy for one vchannel of a message to several; without a broadcast as it was before 2.6.5.
func many[H, B proto.Message, S builder[H, B, S]](
	asked action, empty S, header H, body B, opts ...message.OptBuildBroadcast,
) message.MutableMessage {
	if asked.Broadcast == nil {
		return one(asked, empty, header, body)
	}
	msg, err := empty.WithHeader(header).WithBody(body).WithBroadcast(asked.Broadcast.Vchannels, opts...).BuildBroadcast()
	if err != nil {
		fail(err)
	}
	msg.OverwriteBroadcastHeader(
		asked.Broadcast.Id,
		message.NewSharedClusterResourceKey(),
		message.NewSharedDBNameResourceKey(asked.Db),
		message.NewExclusiveCollectionNameResourceKey(asked.Db, asked.Name),
	)
	for _, copy := range msg.SplitIntoMutableMessage() {
		if copy.VChannel() == asked.Vchannel {
			return copy
		}
	}
	fail(fmt.Errorf("%s is not among %v", asked.Vchannel, asked.Broadcast.Vchannels))
	return nil
}

func built(asked action) message.MutableMessage {
	switch asked.Kind {
	case "tick":
		return one(asked, message.NewTimeTickMessageBuilderV1(), &message.TimeTickMessageHeader{}, &msgpb.TimeTickMsg{
			Base: &commonpb.MsgBase{MsgType: commonpb.MsgType_TimeTick, Timestamp: asked.Tt, SourceID: 1},
		})
	case "insert":
		return insert(asked)
	case "delete":
		return delete_(asked)
	case "begin":
		return one(asked, message.NewBeginTxnMessageBuilderV2(), &message.BeginTxnMessageHeader{}, &message.BeginTxnMessageBody{})
	case "commit":
		return one(asked, message.NewCommitTxnMessageBuilderV2(), &message.CommitTxnMessageHeader{}, &message.CommitTxnMessageBody{})
	case "rollback":
		return one(asked, message.NewRollbackTxnMessageBuilderV2(), &message.RollbackTxnMessageHeader{}, &message.RollbackTxnMessageBody{})
	case "create_segment":
		return one(asked, message.NewCreateSegmentMessageBuilderV2(), &message.CreateSegmentMessageHeader{
			CollectionId:   asked.Collection,
			PartitionId:    asked.Partition,
			SegmentId:      asked.Segment,
			StorageVersion: 2,
			MaxSegmentSize: 1 << 27,
			MaxRows:        1<<64 - 1,
			Level:          1,
		}, &message.CreateSegmentMessageBody{})
	case "manual_flush":
		return one(asked, message.NewManualFlushMessageBuilderV2(), &message.ManualFlushMessageHeader{
			CollectionId: asked.Collection,
			FlushTs:      asked.Clock,
			SegmentIds:   numbers(asked.Segments),
		}, &message.ManualFlushMessageBody{}).WithBarrierTimeTick(asked.Clock)
	default:
		return changed(asked)
	}
}

func insert(asked action) message.MutableMessage {
	keys, values := make([]int64, len(asked.Rows)), make([]int64, len(asked.Rows))
	timestamps, rowIds := make([]uint64, len(asked.Rows)), make([]int64, len(asked.Rows))
	for i, row := range asked.Rows {
		keys[i], values[i] = int64(row[0]), int64(row[1])
		timestamps[i], rowIds[i] = asked.Clock, asked.MsgId+int64(i)
	}
	version := int32(asked.Columns)
	columns := []*schemapb.FieldData{int64s(100, "id", keys), int64s(101, "value", values)}
	for i := range asked.Columns {
		column := int64s(102+int64(i), addedColumn(i), values)
		for range values {
			column.ValidData = append(column.ValidData, true)
		}
		columns = append(columns, column)
	}
	return one(asked, message.NewInsertMessageBuilderV1(), &message.InsertMessageHeader{
		CollectionId: asked.Collection,
		Partitions: []*messagespb.PartitionSegmentAssignment{{
			PartitionId:       asked.Partition,
			Rows:              uint64(len(asked.Rows)),
			BinarySize:        uint64(32 * len(asked.Rows)),
			SegmentAssignment: &messagespb.SegmentAssignment{SegmentId: asked.Segment},
		}},
		SchemaVersion: &version,
	}, &msgpb.InsertRequest{
		Base:           &commonpb.MsgBase{MsgType: commonpb.MsgType_Insert, Timestamp: asked.Clock, SourceID: 1},
		ShardName:      asked.Vchannel,
		DbName:         asked.Db,
		CollectionName: asked.Name,
		PartitionName:  asked.PartitionName,
		CollectionID:   asked.Collection,
		PartitionID:    asked.Partition,
		Timestamps:     timestamps,
		RowIDs:         rowIds,
		NumRows:        uint64(len(asked.Rows)),
		Version:        msgpb.InsertDataVersion_ColumnBased,
		FieldsData:     columns,
	})
}

func addedColumn(i int) string {
	return fmt.Sprintf("added_%d", i)
}

func int64s(id int64, name string, data []int64) *schemapb.FieldData {
	return &schemapb.FieldData{
		Type:      schemapb.DataType_Int64,
		FieldName: name,
		FieldId:   id,
		Field: &schemapb.FieldData_Scalars{Scalars: &schemapb.ScalarField{
			Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: data}},
		}},
	}
}

func delete_(asked action) message.MutableMessage {
	timestamps := make([]uint64, len(asked.Keys))
	for i := range timestamps {
		timestamps[i] = asked.Clock
	}
	return one(asked, message.NewDeleteMessageBuilderV1(), &message.DeleteMessageHeader{
		CollectionId: asked.Collection,
		Rows:         uint64(len(asked.Keys)),
	}, &msgpb.DeleteRequest{
		Base:           &commonpb.MsgBase{MsgType: commonpb.MsgType_Delete, MsgID: asked.MsgId, Timestamp: asked.Clock, SourceID: 1},
		ShardName:      asked.Vchannel,
		DbName:         asked.Db,
		CollectionName: asked.Name,
		PartitionName:  asked.PartitionName,
		CollectionID:   asked.Collection,
		PartitionID:    asked.Partition,
		Timestamps:     timestamps,
		NumRows:        int64(len(asked.Keys)),
		PrimaryKeys:    &schemapb.IDs{IdField: &schemapb.IDs_IntId{IntId: &schemapb.LongArray{Data: numbers(asked.Keys)}}},
	})
}

// changed is a change of structure, which goes to several vchannels.
func changed(asked action) message.MutableMessage {
	schema := &schemapb.CollectionSchema{Name: asked.Name, DbName: asked.Db, Fields: []*schemapb.FieldSchema{
		{FieldID: 100, Name: "id", IsPrimaryKey: true, DataType: schemapb.DataType_Int64},
		{FieldID: 101, Name: "value", DataType: schemapb.DataType_Int64},
	}, Version: int32(asked.Altered.Columns)}
	for i := range asked.Altered.Columns {
		schema.Fields = append(schema.Fields, &schemapb.FieldSchema{
			FieldID: 102 + int64(i), Name: addedColumn(i), DataType: schemapb.DataType_Int64, Nullable: true,
		})
	}
	switch asked.Kind {
	case "create_collection":
		return many(asked, message.NewCreateCollectionMessageBuilderV1(), &message.CreateCollectionMessageHeader{
			CollectionId: asked.Collection,
			PartitionIds: []int64{asked.Partition},
			DbId:         asked.DbId,
		}, &msgpb.CreateCollectionRequest{
			Base:                 &commonpb.MsgBase{MsgType: commonpb.MsgType_CreateCollection},
			DbName:               asked.Db,
			CollectionName:       asked.Name,
			DbID:                 asked.DbId,
			CollectionID:         asked.Collection,
			VirtualChannelNames:  asked.Vchannels,
			PhysicalChannelNames: asked.Pchannels,
			PartitionIDs:         []int64{asked.Partition},
			PartitionNames:       []string{asked.PartitionName},
			CollectionSchema:     schema,
		})
	case "drop_collection":
		return many(asked, message.NewDropCollectionMessageBuilderV1(), &message.DropCollectionMessageHeader{
			CollectionId: asked.Collection,
			DbId:         asked.DbId,
		}, &msgpb.DropCollectionRequest{
			Base:           &commonpb.MsgBase{MsgType: commonpb.MsgType_DropCollection},
			DbName:         asked.Db,
			CollectionName: asked.Name,
			DbID:           asked.DbId,
			CollectionID:   asked.Collection,
		}, message.OptBuildBroadcastAckSyncUp())
	case "create_partition":
		return many(asked, message.NewCreatePartitionMessageBuilderV1(), &message.CreatePartitionMessageHeader{
			CollectionId: asked.Collection,
			PartitionId:  asked.Partition,
		}, &msgpb.CreatePartitionRequest{
			Base:           &commonpb.MsgBase{MsgType: commonpb.MsgType_CreatePartition},
			DbName:         asked.Db,
			CollectionName: asked.Name,
			PartitionName:  asked.PartitionName,
			DbID:           asked.DbId,
			CollectionID:   asked.Collection,
			PartitionID:    asked.Partition,
		})
	case "drop_partition":
		return many(asked, message.NewDropPartitionMessageBuilderV1(), &message.DropPartitionMessageHeader{
			CollectionId: asked.Collection,
			PartitionId:  asked.Partition,
		}, &msgpb.DropPartitionRequest{
			Base:           &commonpb.MsgBase{MsgType: commonpb.MsgType_DropPartition},
			DbName:         asked.Db,
			CollectionName: asked.Name,
			PartitionName:  asked.PartitionName,
			DbID:           asked.DbId,
			CollectionID:   asked.Collection,
			PartitionID:    asked.Partition,
		})
	case "truncate_collection":
		return many(asked, message.NewTruncateCollectionMessageBuilderV2(), &message.TruncateCollectionMessageHeader{
			DbId:         asked.DbId,
			CollectionId: asked.Collection,
		}, &message.TruncateCollectionMessageBody{}, message.OptBuildBroadcastAckSyncUp())
	case "alter_collection":
		return alter(asked, schema)
	case "import":
		return many(asked, message.NewImportMessageBuilderV1(), &message.ImportMessageHeader{}, &msgpb.ImportMsg{
			Base:           &commonpb.MsgBase{MsgType: commonpb.MsgType_Import},
			DbName:         asked.Db,
			CollectionName: asked.Name,
			CollectionID:   asked.Collection,
			PartitionIDs:   []int64{asked.Partition},
			Files:          []*msgpb.ImportFile{{Paths: []string{"import/rows.parquet"}}},
			Schema:         schema,
			JobID:          asked.Job,
		})
	case "commit_import":
		return many(asked, message.NewCommitImportMessageBuilderV2(), &message.CommitImportMessageHeader{
			CollectionId: asked.Collection,
			JobId:        asked.Job,
		}, &message.CommitImportMessageBody{})
	}
	fail(fmt.Errorf("unknown kind %s", asked.Kind))
	return nil
}

func alter(asked action, schema *schemapb.CollectionSchema) message.MutableMessage {
	mask, updates := &fieldmaskpb.FieldMask{}, &message.AlterCollectionMessageUpdates{}
	if db := asked.Altered.Db; db != nil {
		mask.Paths = append(mask.Paths, message.FieldMaskDB)
		updates.DbId, updates.DbName = db.Id, db.Name
	}
	if name := asked.Altered.Name; name != nil {
		mask.Paths = append(mask.Paths, message.FieldMaskCollectionName)
		updates.CollectionName = *name
	}
	if asked.Altered.Columns > 0 {
		mask.Paths = append(mask.Paths, message.FieldMaskCollectionSchema)
		updates.Schema = schema
	}
	if asked.Altered.Properties != nil {
		mask.Paths = append(mask.Paths, message.FieldMaskCollectionProperties)
		for key, value := range asked.Altered.Properties {
			updates.Properties = append(updates.Properties, &commonpb.KeyValuePair{Key: key, Value: value})
		}
	}
	return many(asked, message.NewAlterCollectionMessageBuilderV2(), &message.AlterCollectionMessageHeader{
		DbId:         asked.DbId,
		CollectionId: asked.Collection,
		UpdateMask:   mask,
		CacheExpirations: &message.CacheExpirations{CacheExpirations: []*message.CacheExpiration{{
			Cache: &messagespb.CacheExpiration_LegacyProxyCollectionMetaCache{
				LegacyProxyCollectionMetaCache: &messagespb.LegacyProxyCollectionMetaCache{
					DbName:         asked.Db,
					CollectionName: asked.Name,
					CollectionId:   asked.Collection,
					MsgType:        commonpb.MsgType_AlterCollection,
				},
			},
		}}},
	}, &message.AlterCollectionMessageBody{Updates: updates})
}

func numbers(texts []number) []int64 {
	all := make([]int64, len(texts))
	for i, text := range texts {
		all[i] = int64(text)
	}
	return all
}
