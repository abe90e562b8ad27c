package streampark.testing;

import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** 0, 1, 2, ... one number each interval, from one split whose position is part of every checkpoint. */
final class SequenceSource implements Source<Long, SequenceSource.Lane, List<SequenceSource.Lane>> {
    private static final long serialVersionUID = 1L;

    private final long intervalMicros;
    private final long end;

    /** @param end how many numbers there are; Long.MAX_VALUE makes the source unbounded. */
    SequenceSource(long intervalMicros, long end) {
        this.intervalMicros = intervalMicros;
        this.end = end;
    }

    @Override
    public Boundedness getBoundedness() {
        return end == Long.MAX_VALUE ? Boundedness.CONTINUOUS_UNBOUNDED : Boundedness.BOUNDED;
    }

    @Override
    public SplitEnumerator<Lane, List<Lane>> createEnumerator(SplitEnumeratorContext<Lane> context) {
        return new Enumerator(context, getBoundedness(), Collections.singletonList(new Lane(0)));
    }

    @Override
    public SplitEnumerator<Lane, List<Lane>> restoreEnumerator(SplitEnumeratorContext<Lane> context, List<Lane> left) {
        return new Enumerator(context, getBoundedness(), left);
    }

    @Override
    public SimpleVersionedSerializer<Lane> getSplitSerializer() {
        return new LaneSerializer();
    }

    @Override
    public SimpleVersionedSerializer<List<Lane>> getEnumeratorCheckpointSerializer() {
        return new LanesSerializer();
    }

    @Override
    public SourceReader<Long, Lane> createReader(SourceReaderContext context) {
        return new Reader(context, intervalMicros, end);
    }

    /** The one split: the next number to emit. */
    static final class Lane implements SourceSplit, Serializable {
        private static final long serialVersionUID = 1L;
        final long next;

        Lane(long next) {
            this.next = next;
        }

        @Override
        public String splitId() {
            return "lane";
        }
    }

    private static final class Reader implements SourceReader<Long, Lane> {
        private final SourceReaderContext context;
        private final long intervalNanos;
        private final long end;
        private CompletableFuture<Void> assigned = new CompletableFuture<>();
        private boolean owner;
        private boolean noMore;
        private long next;
        private long due;

        Reader(SourceReaderContext context, long intervalMicros, long end) {
            this.context = context;
            this.intervalNanos = intervalMicros * 1000;
            this.end = end;
        }

        @Override
        public void start() {
            context.sendSplitRequest();
        }

        @Override
        public InputStatus pollNext(ReaderOutput<Long> output) throws Exception {
            if (!owner) {
                return noMore ? InputStatus.END_OF_INPUT : InputStatus.NOTHING_AVAILABLE;
            }
            if (next >= end) {
                return InputStatus.END_OF_INPUT;
            }
            long wait = due - System.nanoTime();
            if (wait > 0) {
                // Short naps on the task's own thread: no thread of ours outlives the job, and barriers are not held up.
                Thread.sleep(Math.min(20, 1 + wait / 1_000_000));
                return InputStatus.MORE_AVAILABLE;
            }
            // After a pause of the process the rhythm starts anew; a burst would hide the pause from the output.
            due = Math.max(due, System.nanoTime() - 100_000_000L) + intervalNanos;
            output.collect(next++);
            return InputStatus.MORE_AVAILABLE;
        }

        @Override
        public List<Lane> snapshotState(long checkpoint) {
            return owner ? Collections.singletonList(new Lane(next)) : Collections.emptyList();
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return owner || noMore ? CompletableFuture.completedFuture(null) : assigned;
        }

        @Override
        public void addSplits(List<Lane> lanes) {
            for (Lane lane : lanes) {
                owner = true;
                next = lane.next;
                due = System.nanoTime();
            }
            assigned.complete(null);
        }

        @Override
        public void notifyNoMoreSplits() {
            noMore = true;
            assigned.complete(null);
        }

        @Override
        public void close() {}
    }

    private static final class Enumerator implements SplitEnumerator<Lane, List<Lane>> {
        private final SplitEnumeratorContext<Lane> context;
        private final boolean bounded;
        private final ArrayDeque<Lane> left;

        Enumerator(SplitEnumeratorContext<Lane> context, Boundedness boundedness, List<Lane> left) {
            this.context = context;
            this.bounded = boundedness == Boundedness.BOUNDED;
            this.left = new ArrayDeque<>(left);
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int subtask, String host) {
            Lane lane = left.poll();
            if (lane != null) {
                context.assignSplit(lane, subtask);
            } else if (bounded) {
                // Where there is no end, idle readers stay: a savepoint that meets one closing is given up by Flink.
                context.signalNoMoreSplits(subtask);
            }
        }

        @Override
        public void addSplitsBack(List<Lane> lanes, int subtask) {
            left.addAll(lanes);
        }

        @Override
        public void addReader(int subtask) {}

        @Override
        public List<Lane> snapshotState(long checkpoint) {
            return new ArrayList<>(left);
        }

        @Override
        public void close() {}
    }

    private static final class LaneSerializer implements SimpleVersionedSerializer<Lane> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Lane lane) {
            return ByteBuffer.allocate(8).putLong(lane.next).array();
        }

        @Override
        public Lane deserialize(int version, byte[] bytes) throws IOException {
            return new Lane(ByteBuffer.wrap(bytes).getLong());
        }
    }

    private static final class LanesSerializer implements SimpleVersionedSerializer<List<Lane>> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(List<Lane> lanes) {
            ByteBuffer buffer = ByteBuffer.allocate(8 * lanes.size());
            lanes.forEach(lane -> buffer.putLong(lane.next));
            return buffer.array();
        }

        @Override
        public List<Lane> deserialize(int version, byte[] bytes) {
            List<Lane> lanes = new ArrayList<>();
            for (ByteBuffer buffer = ByteBuffer.wrap(bytes); buffer.hasRemaining(); ) {
                lanes.add(new Lane(buffer.getLong()));
            }
            return lanes;
        }
    }
}
