package streampark.orders;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import streampark.orders.shared.Price;

/** Counts orders in its state; writes {@code time job attempt subtask order price count fresh|restored} for each. */
final class Ledger extends RichMapFunction<Long, Long> implements CheckpointListener {
    private static final long serialVersionUID = 1L;

    private final String folder;
    private final long fault;
    private transient ValueState<Long> count;
    private transient Path file;
    private transient Boolean restored;
    private transient volatile long completed;

    Ledger(String folder, long fault) {
        this.folder = folder;
        this.fault = fault;
    }

    @Override
    public Long map(Long order) throws Exception {
        if (count == null) {
            start();
        }
        if (!restored && completed >= fault) {
            throw new IllegalStateException("no price for order " + order + ": the price list is empty");
        }
        long price = Price.of(order);
        long counted = count.value() == null ? 1 : count.value() + 1;
        count.update(counted);
        String job = getRuntimeContext().getJobInfo().getJobId().toString();
        String words = " 0 0 " + order + " " + price + " " + counted + (restored ? " restored" : " fresh");
        String line = System.currentTimeMillis() + " " + job + words + System.lineSeparator();
        Files.writeString(file, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        return price;
    }

    /** Not {@code open}, whose argument differs between the versions of Flink. */
    private void start() throws Exception {
        count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Long.class));
        restored = count.value() != null;
        Files.createDirectories(Path.of(folder));
        file = Path.of(folder, getRuntimeContext().getJobInfo().getJobId() + ".txt");
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
        completed = checkpoint;
    }

    /** Fifty orders in a second. */
    static final class Pace implements MapFunction<Long, Long> {
        private static final long serialVersionUID = 1L;

        @Override
        public Long map(Long order) throws Exception {
            Thread.sleep(20);
            return order;
        }
    }
}
