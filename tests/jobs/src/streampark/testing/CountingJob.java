package streampark.testing;

import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Counts an endless sequence, or with --count a finite one; its arguments make it slow, broken or rude. */
public final class CountingJob {
    private CountingJob() {}

    /** See docs/testing.md for the arguments. */
    public static void main(String[] args) throws Exception {
        run(new Options(args), "counting", Long.MAX_VALUE);
    }

    static void run(Options options, String name, long count) throws Exception {
        Thread.sleep(1000 * options.number("slow-main-seconds", 0));
        if (options.has("exit")) {
            System.exit((int) options.number("exit", 1));
        }
        if (options.has("throw-in-main")) {
            throw new IllegalStateException(options.text("throw-in-main", ""));
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.configure(configuration(options), CountingJob.class.getClassLoader());
        if (options.has("job-parallelism")) {
            env.setParallelism((int) options.number("job-parallelism", 1));
        }
        define(env, options, count);
        if (options.has("no-execute")) {
            return;
        }
        env.execute(options.text("name", name));
        if (options.has("execute-twice")) {
            define(env, options, count);
            env.execute(options.text("name", name) + "-again");
        }
    }

    private static void define(StreamExecutionEnvironment env, Options options, long count) {
        long keys = Math.max(1, options.number("keys", 1));
        env.fromSource(
                        new SequenceSource(options.intervalMicros(100), options.number("count", count)),
                        WatermarkStrategy.noWatermarks(),
                        "sequence",
                        Types.LONG)
                .uid("sequence")
                .keyBy(sequence -> sequence % keys, Types.LONG)
                .process(new Counter(options))
                .returns(Types.STRING)
                .name("count")
                .uid("count")
                .map(new Recorder(options.text("output", null)))
                .returns(Types.STRING)
                .name("record")
                .uid("record");
    }

    /** Only what was asked for; the rest is the cluster's or the submission's to say. */
    private static Configuration configuration(Options options) {
        Configuration conf = new Configuration();
        if (options.has("checkpoint-interval")) {
            conf.setString("execution.checkpointing.interval", options.number("checkpoint-interval", 0) + " ms");
            conf.setString("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        }
        if (options.has("checkpoint-dir")) {
            conf.setString("state.checkpoints.dir", options.text("checkpoint-dir", ""));
        }
        if (options.has("restart")) {
            String[] restart = options.text("restart", "none").split(",");
            // The first key is read up to 1.x, the second from 1.19 on.
            conf.setString("restart-strategy", restart[0]);
            conf.setString("restart-strategy.type", restart[0]);
            if (restart.length > 1) {
                conf.setString("restart-strategy.fixed-delay.attempts", restart[1]);
                conf.setString("restart-strategy.fixed-delay.delay", restart.length > 2 ? restart[2] : "1 s");
            }
        }
        return conf;
    }
}
