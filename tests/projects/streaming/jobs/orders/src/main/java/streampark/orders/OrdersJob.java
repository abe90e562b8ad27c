package streampark.orders;

import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Orders without end, their prices, and how many there were. */
public final class OrdersJob {
    private OrdersJob() {}

    /** A folder for the output; after it, the number of completed checkpoints after which a first attempt throws. */
    public static void main(String[] args) throws Exception {
        long fault = args.length > 1 ? Long.parseLong(args[1]) : Long.MAX_VALUE;
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setParallelism(1);
        env.fromSequence(0, Long.MAX_VALUE)
                .uid("orders")
                .map(new Ledger.Pace())
                .uid("pace")
                .keyBy(order -> 0L, Types.LONG)
                .map(new Ledger(args[0], fault))
                .uid("ledger")
                .print()
                .uid("log");
        env.execute("orders");
    }
}
