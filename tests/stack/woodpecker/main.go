// Woodpecker's own writer and its own server, for tests.
//
//	woodpecker write CONFIG                                commands as lines of JSON, answers as lines of JSON
//	woodpecker serve CONFIG NODE SERVICE_PORT GOSSIP_PORT DIR SEEDS
//
// CONFIG is Woodpecker's own YAML file; with storage of type service `write` is a client of servers, otherwise the writer is
// embedded, as in Milvus. Woodpecker's log is between the answers: its lines do not begin with a brace.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/zilliztech/woodpecker/common/config"
	"github.com/zilliztech/woodpecker/common/etcd"
	"github.com/zilliztech/woodpecker/common/logger"
	"github.com/zilliztech/woodpecker/common/membership"
	"github.com/zilliztech/woodpecker/server"
	"github.com/zilliztech/woodpecker/woodpecker"
	"github.com/zilliztech/woodpecker/woodpecker/log"
)

func main() {
	out := os.Stdout
	if len(os.Args) < 3 {
		fail(fmt.Errorf("expected write CONFIG, or serve CONFIG NODE SERVICE_PORT GOSSIP_PORT DIR SEEDS"))
	}
	cfg, err := config.NewConfiguration(os.Args[2])
	if err != nil {
		fail(err)
	}
	switch os.Args[1] {
	case "write":
		err = write(cfg, out)
	case "serve":
		err = serve(cfg, out, os.Args[3:])
	default:
		err = fmt.Errorf("unknown command %s", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(cfg *config.Configuration, out *os.File, args []string) error {
	ports := make([]int, 2)
	for i := range ports {
		port, err := strconv.Atoi(args[1+i])
		if err != nil {
			return err
		}
		ports[i] = port
	}
	cfg.Woodpecker.Storage.RootPath = args[3]
	logger.InitLogger(cfg)
	var seeds []string
	if args[4] != "" {
		seeds = strings.Split(args[4], ",")
	}
	node, err := server.NewServerWithConfig(context.Background(), cfg, &membership.ServerConfig{
		NodeID:               args[0],
		ServicePort:          ports[0],
		BindPort:             ports[1],
		AdvertiseAddr:        "127.0.0.1",
		AdvertisePort:        ports[1],
		AdvertiseServiceAddr: "127.0.0.1",
		AdvertiseServicePort: ports[0],
		ResourceGroup:        "default",
		AZ:                   "default",
		Tags:                 map[string]string{"role": "logstore"},
	}, seeds)
	if err != nil {
		return err
	}
	if err := node.Prepare(); err != nil {
		return err
	}
	if err := node.Run(); err != nil {
		return err
	}
	fmt.Fprintln(out, `{}`)
	// It serves until it is killed.
	return <-node.GetStartupErrCh()
}

type message struct {
	Payload    []byte            `json:"payload"`
	Properties map[string]string `json:"properties"`
}

type command struct {
	Do       string    `json:"do"`
	Log      string    `json:"log"`
	Messages []message `json:"messages"`
	Segment  int64     `json:"segment"`
	Entry    int64     `json:"entry"`
}

type answer struct {
	// Of each message, in order: [segment, entry].
	Ids   [][2]int64 `json:"ids,omitempty"`
	Error string     `json:"error,omitempty"`
}

type open struct {
	handle log.LogHandle
	writer log.LogWriter
}

func write(cfg *config.Configuration, out *os.File) error {
	ctx := context.Background()
	var client woodpecker.Client
	var err error
	if cfg.Woodpecker.Storage.IsStorageService() {
		keys, err := etcd.GetRemoteEtcdClient(cfg.Etcd.GetEndpoints())
		if err != nil {
			return err
		}
		client, err = woodpecker.NewClient(ctx, cfg, keys, true)
		if err != nil {
			return err
		}
	} else if client, err = woodpecker.NewEmbedClientFromConfig(ctx, cfg); err != nil {
		return err
	}
	logs := map[string]*open{}
	encoder := json.NewEncoder(out)
	if err := encoder.Encode(answer{}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<30)
	for lines.Scan() {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		said, err := do(ctx, client, logs, asked)
		if err != nil {
			said.Error = err.Error()
		}
		if err := encoder.Encode(said); err != nil {
			return err
		}
	}
	return lines.Err()
}

func do(ctx context.Context, client woodpecker.Client, logs map[string]*open, asked command) (answer, error) {
	var said answer
	switch asked.Do {
	case "create":
		return said, client.CreateLog(ctx, asked.Log)
	case "delete":
		return said, client.DeleteLog(ctx, asked.Log)
	case "open":
		// Whoever wrote it is shut out.
		handle, err := client.OpenLog(ctx, asked.Log)
		if err != nil {
			return said, err
		}
		writer, err := handle.OpenLogWriter(ctx)
		if err != nil {
			return said, err
		}
		logs[asked.Log] = &open{handle, writer}
		return said, nil
	}
	own := logs[asked.Log]
	if own == nil {
		return said, fmt.Errorf("the log %s is not open", asked.Log)
	}
	switch asked.Do {
	case "append":
		results := make([]<-chan *log.WriteResult, len(asked.Messages))
		for i, each := range asked.Messages {
			results[i] = own.writer.WriteAsync(ctx, &log.WriteMessage{Payload: each.Payload, Properties: each.Properties})
		}
		for _, result := range results {
			select {
			case got := <-result:
				if got.Err != nil {
					return said, got.Err
				}
				said.Ids = append(said.Ids, [2]int64{got.LogMessageId.SegmentId, got.LogMessageId.EntryId})
			case <-time.After(60 * time.Second):
				return said, fmt.Errorf("an append was not answered for a minute")
			}
		}
		return said, nil
	case "truncate":
		return said, own.handle.Truncate(ctx, &log.LogMessageId{SegmentId: asked.Segment, EntryId: asked.Entry})
	case "close":
		delete(logs, asked.Log)
		if err := own.writer.Close(ctx); err != nil {
			return said, err
		}
		return said, own.handle.Close(ctx)
	default:
		return said, fmt.Errorf("unknown command %s", asked.Do)
	}
}
