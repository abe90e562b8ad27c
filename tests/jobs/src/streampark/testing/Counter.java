package streampark.testing;

import java.nio.file.Files;
import java.nio.file.Paths;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts the elements of each key in keyed state, fails when told to, and emits one line for each element.
 * The count of an element is {@code sequence / keys + 1} exactly when no state was lost or doubled.
 */
final class Counter extends KeyedProcessFunction<Long, Long, String> implements CheckpointedFunction, CheckpointListener {
    private static final long serialVersionUID = 1L;

    private final Options options;
    private transient ValueState<Long> counts;
    private transient boolean restored;
    private transient long started;
    private transient volatile long completed;
    private transient long elements;

    Counter(Options options) {
        this.options = options;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        Thread.sleep(1000 * options.number("slow-start-seconds", 0));
        counts = context.getKeyedStateStore().getState(new ValueStateDescriptor<>("count", Long.class));
        restored = context.isRestored();
        started = System.nanoTime();
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) {}

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
        completed = checkpoint;
    }

    @Override
    public void processElement(Long sequence, Context context, Collector<String> out) throws Exception {
        failIfTold();
        long count = (counts.value() == null ? 0 : counts.value()) + 1;
        counts.update(count);
        elements++;
        out.collect(sequence + " " + context.getCurrentKey() + " " + count + " " + (restored ? "restored" : "fresh"));
    }

    private void failIfTold() {
        if (options.has("fail-once") && restored) {
            return;
        }
        String why = null;
        if (System.nanoTime() - started > 1_000_000_000L * options.number("fail-after-seconds", Long.MAX_VALUE / 2_000_000_000L)) {
            why = "after " + options.text("fail-after-seconds", "") + " s";
        } else if (options.has("fail-at-checkpoint") && completed >= options.number("fail-at-checkpoint", 0)) {
            why = "after checkpoint " + completed;
        } else if (options.has("fail-at-element") && elements >= options.number("fail-at-element", 0)) {
            why = "after " + elements + " elements";
        } else if (options.has("fail-when-file-exists") && Files.exists(Paths.get(options.text("fail-when-file-exists", "")))) {
            why = "because the file exists";
        }
        if (why != null) {
            throw new IllegalStateException(options.text("fail-message", "told to fail " + why));
        }
    }
}
