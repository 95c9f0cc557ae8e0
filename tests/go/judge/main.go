// etcd's own judge of histories, from its robustness tests, on reports that `cargo xtask e2e cluster` has written.
// Arguments: folders. With -guilty it must find something wrong in each.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
)

// How long one history may take.
const patience = 4 * time.Minute

func main() {
	guilty := flag.Bool("guilty", false, "something is wrong, and must be found")
	flag.Parse()
	for _, folder := range flag.Args() {
		verdict, err := judge(folder)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", folder, err)
			os.Exit(2)
		}
		fmt.Println(verdict)
		if verdict.innocent() == *guilty {
			os.Exit(1)
		}
	}
}

type verdict struct {
	operations, events int
	result             validate.RobustnessResult
}

// Everything was judged, and found right.
func (v verdict) innocent() bool {
	return v.result.Linearization.Status == validate.Success && v.result.Watch.Status == validate.Success &&
		v.result.Serializable.Status == validate.Success
}

// Nobody could tell within the time.
func (v verdict) open() bool {
	status := v.result.Linearization.Status
	return status == validate.Timeout || status == validate.DeadlineExceeded
}

func (v verdict) String() string {
	words := "linearizable, and all watches told all"
	if err := v.result.Error(); err != nil {
		words = err.Error()
	}
	return fmt.Sprintf("etcd's judge: %d operations, %d events: %s", v.operations, v.events, words)
}

func judge(folder string) (verdict, error) {
	reports, err := report.LoadClientReports(folder)
	if err != nil {
		return verdict{}, err
	}
	persisted, err := load(filepath.Join(folder, "persisted.json"))
	if err != nil {
		return verdict{}, err
	}
	var v verdict
	for _, client := range reports {
		v.operations += len(client.KeyValue)
		v.events += client.WatchEventCount()
	}
	if v.operations == 0 || v.events == 0 {
		return v, errors.New("there is nothing to judge")
	}
	v.result = validate.ValidateAndReturnVisualize(zap.NewNop(), validate.Config{}, reports, persisted, patience)
	if err := v.result.Assumptions.Error(); err != nil {
		return v, err
	}
	if v.open() {
		return v, fmt.Errorf("no verdict within %v", patience)
	}
	return v, nil
}

// What was changed, in its order.
func load(path string) (requests []model.EtcdRequest, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	for {
		var request model.EtcdRequest
		switch err := decoder.Decode(&request); {
		case errors.Is(err, io.EOF):
			return requests, nil
		case err != nil:
			return nil, err
		}
		requests = append(requests, request)
	}
}
