package streampark.orders;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import streampark.orders.shared.Price;

/** Ten orders and their prices, written to the file that the first argument names. */
public final class OrdersJob {
    private OrdersJob() {}

    /** The first argument is a file. */
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setParallelism(1);
        env.fromSequence(1, 10).map(new Write(args[0])).print();
        env.execute("orders");
    }

    private static final class Write implements MapFunction<Long, Long> {
        private static final long serialVersionUID = 1L;
        private final String file;

        Write(String file) {
            this.file = file;
        }

        @Override
        public Long map(Long order) throws Exception {
            long price = Price.of(order);
            String line = order + " " + price + System.lineSeparator();
            Files.writeString(Path.of(file), line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            return price;
        }
    }
}
