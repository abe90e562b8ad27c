package streampark.testing;

import java.io.Serializable;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The arguments of a test job: --name value pairs, and flags that stand alone. Unknown names are refused. */
final class Options implements Serializable {
    private static final long serialVersionUID = 1L;

    private static final List<String> VALUES =
            Arrays.asList(
                    "name", "rate", "interval-ms", "keys", "count", "output", "checkpoint-interval", "checkpoint-dir",
                    "restart", "fail-after-seconds", "fail-at-checkpoint", "fail-at-element", "fail-when-file-exists",
                    "fail-message", "slow-main-seconds", "slow-start-seconds", "exit", "throw-in-main", "job-parallelism");
    private static final List<String> FLAGS = Arrays.asList("fail-once", "no-execute", "execute-twice");

    private final TreeMap<String, String> given = new TreeMap<>();

    Options(String[] args) {
        for (int i = 0; i < args.length; i++) {
            String name = args[i].startsWith("--") ? args[i].substring(2) : "";
            if (FLAGS.contains(name)) {
                given.put(name, "true");
            } else if (VALUES.contains(name) && i + 1 < args.length) {
                given.put(name, args[++i]);
            } else {
                throw new IllegalArgumentException("unknown or incomplete argument " + args[i]);
            }
        }
    }

    boolean has(String name) {
        return given.containsKey(name);
    }

    String text(String name, String otherwise) {
        return given.getOrDefault(name, otherwise);
    }

    long number(String name, long otherwise) {
        return has(name) ? Long.parseLong(given.get(name)) : otherwise;
    }

    /** Microseconds between two elements, from --interval-ms or --rate (elements in a second). */
    long intervalMicros(long rate) {
        return has("interval-ms") ? number("interval-ms", 0) * 1000 : 1_000_000 / Math.max(1, number("rate", rate));
    }

    Map<String, String> all() {
        return given;
    }
}
