package streampark.testing;

import java.util.Locale;
import org.apache.flink.table.functions.ScalarFunction;

/** A function for SQL tests: SHOUT('hi') is 'HI!'. */
public final class Shout extends ScalarFunction {
    private static final long serialVersionUID = 1L;

    /** The text in capitals, with an exclamation mark. */
    public String eval(String text) {
        return text == null ? null : text.toUpperCase(Locale.ROOT) + "!";
    }
}
