package kafkatest_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/worker/kafka/kafkatest"
)

func TestIntegrationClusterShowsWhatIsCommitted(t *testing.T) {
	k := kafkatest.Start(t)
	topic, group, producer := k.Topic("t", 2), k.Name("g"), k.Name("producer")
	k.Write(kafkatest.Record(topic, "a", "plain"), &kgo.Record{Topic: topic, Partition: 1, Value: []byte("on 1")})
	for i, commit := range []bool{false, true} {
		r := kafkatest.Record(topic, "a", fmt.Sprint("transaction ", i))
		if err := k.Transact(t.Context(), producer, commit, r); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]bool{}
	for _, r := range k.WaitRead(topic, 3) {
		found[string(r.Value)] = true
	}
	if want := map[string]bool{"plain": true, "on 1": true, "transaction 1": true}; !maps.Equal(found, want) {
		t.Errorf("the topic holds %v, want %v", found, want)
	}
	if got := k.Marks(group, topic); len(got) != 0 {
		t.Errorf("commits of a new group: %v", got)
	}
	if err := k.Commit(t.Context(), group, topic, map[int32]kafkatest.Committed{1: {Offset: 1, Metadata: "m"}}); err != nil {
		t.Fatal(err)
	}
	got, err := k.Committed(t.Context(), group, topic)
	if want := (map[int32]kafkatest.Committed{1: {Offset: 1, Metadata: "m"}}); err != nil || !maps.Equal(got, want) {
		t.Errorf("committed %v, %v; want %v", got, err, want)
	}
}

func TestVirtualWorksInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kafkatest.Virtual(t)
		topic := k.Topic("t", 1)
		k.Write(kafkatest.Record(topic, "k", "v"))
		if got := k.Read(topic); len(got) != 1 || string(got[0].Value) != "v" {
			t.Errorf("read %v", got)
		}
	})
}
