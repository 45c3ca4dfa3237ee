// Package worker is the pipeline: every decision about what is sent to HubSpot, when, in which order, what its answers mean
// and what may be committed. It knows neither Kafka's client nor net/http nor Prometheus.
//
// The way of an event, one file for each step:
//
//	source.go    what a generation of partitions and the dead-letter topic offer
//	reader.go    fetch and decode, one goroutine for each partition
//	event.go     what an event is, and what is wrong with one that is none; cloudevent.go takes it out of an envelope
//	run.go       the loop: it owns the ledger and is the whole story of one life
//	ledger.go    all inputs owed: admission, marks, reach; partition.go and chain.go are its parts
//	cut.go       which inputs make the next batch
//	gate.go      whether a request may go out now: pace, breaker, holds
//	judge.go     what an answer says of each input; reaction.go sorts the answers as a whole
//	settle.go    what becomes of the inputs then
//	commit.go    when the marks are committed, and what an answer to that means
//	progress.go  what a life leaves behind in the metadata of its commits
//	observe.go   what is told about all this
//
// # Why an opt-out holds
//
// Invariant 3 says: after a withdrawal of a key was settled, no older event of that key is applied. An older event could
// be applied in four ways, and each is closed by one rule.
//
// This life sends it. A newer input holds the older ones of its key under it (chain.next): a key's newest withdrawal
// goes before anything else of the key, at most one input of a key is in a request at any time, and when the withdrawal
// is written, everything older is settled with it and never sent. A withdrawal that HubSpot refuses takes the older
// grants along. A grant never goes while a withdrawal of its key is owed, so none can swallow one that was not sent.
//
// A later life sends it, because the mark stood below it. Every commit carries the reach: nothing at or beyond the
// acknowledged reach is read, and nothing is sent before the first commit of a life is acknowledged; so whatever any
// earlier life sent or settled lies below the reach that stands in the last commit. A life cuts no grant of a partition
// before it has read up to the inherited reach or the end of the log. So when an older grant is owed again, the withdrawal
// that was settled after it has been read too, and holds it; if the withdrawal was settled as one of the gaps, it
// silences the grant on admission (Ledger.silence). Gaps that do not fit are cut off from the highest down: then the
// withdrawal is owed again, which is harmless, and never the other way round.
//
// A commit that lands late makes the mark or the reach go back. A life has one commit under way at a time, and ends without
// another one when a commit gets no answer; the coordinator refuses commits of ended generations.
//
// HubSpot applies it late. A request that ended without HubSpot's own answer may be applied for an afterlife. That long the
// newer inputs of its keys are in shadow: grants wait, a withdrawal goes at once and again when the shadow is over, and
// settles only then. The last commit of a life says clean when nothing is unanswered or in shadow; a partition that
// is inherited without that is in shadow as a whole for one afterlife.
//
// Open: a process that is stopped in mid-write for longer than the afterlife, and then goes on writing.
package worker
