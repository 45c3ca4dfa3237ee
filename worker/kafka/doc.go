// Package kafka is the worker's Kafka: membership in the consumer group, fetching, commits and dead letters. It is the
// only package that knows kafka-go.
//
// # The way of a life
//
// Cluster.Run waits for the topics (ready.go), joins the group and turns every generation of it into one life
// (group.go): the assigned partitions are resolved to offsets (assign.go) and handed to the live function, which reads
// (fetch.go) and commits (commit.go) through a worker.Generation until its context ends, drains, and returns. Only
// then does kafka-go join the next generation, so partitions are never given away with requests in flight. Dead
// letters (bury.go) do not depend on a generation.
//
// # What kafka-go does here, and what it does not
//
// kafka-go connects, authenticates, routes requests to leaders and coordinators, keeps the membership alive and
// writes dead letters. Three things are done past it:
//   - Fetches are encoded and decoded by franz-go (wire.go carries them over kafka-go's connections), because
//     kafka-go's decoder delivers aborted records and transaction markers, and fails on compacted topics.
//   - Commits go through Client.OffsetCommit with the generation and the member: Generation.CommitOffsets knows no
//     context, no metadata and no error of a single partition, and erases the metadata of others.
//   - Metadata is asked anew whenever the answer decides something. The Transport answers from its memory.
//
// # Contracts with the broker
//
// A commit without an answer may land late. It must not land after a newer one, so such a life ends and the member
// leaves the group and returns under another id: a follower that merely joins again may keep its generation and
// member id, and with them the right to commit (GroupCoordinator.doJoinGroup, state Stable).
//
// Heartbeats cease as soon as one is told of a rebalance. What keeps a member alive while it drains are its commits,
// each of which restarts the session's timer; so the worker commits while it drains, and Open refuses a drain that
// does not fit into the session.
//
// The very first start of a group is decided once, for the whole topic, by the member that owns partition 0: see
// assign.go.
package kafka
