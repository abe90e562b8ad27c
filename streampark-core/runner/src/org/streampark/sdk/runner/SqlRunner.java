package org.streampark.sdk.runner;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.InputStream;
import java.util.*;
import java.util.regex.*;
import org.apache.flink.configuration.*;
import org.apache.flink.core.fs.Path;
import org.apache.flink.table.api.*;

/**
 * Runs Flink SQL statements, already split, as exactly one job. Arguments: {@code --script TEXT}, or {@code --script-file WHERE}
 * with a path of any Flink file system or {@code classpath:NAME}; {@code --jar PATH} for each further jar.
 * <p>A script is {@code v1}, then for each statement {@code <number>.<line>.<column>.<base64url of its UTF-8 text>}, line and
 * column being its place in the user's text, from 1; all parted by commas, or by white space.
 * <p>A statement at fault ends the run with an exception whose message ends in
 * {@code [streampark-sql-error:<number>:<line>:<base64url of the text's start>:<base64url of the reason>]}.
 * <p>No lambda here: compilers number them differently, and this jar is to have the same bytes from each. */
public final class SqlRunner {
    private static final Base64.Encoder BASE64 = Base64.getUrlEncoder().withoutPadding();
    private static final String QUOTED = "'([^']*(?:''[^']*)*+)'";
    private static final Pattern SET =
            Pattern.compile("(?is)SET\\s+(?:" + QUOTED + "|([^\\s=']+))\\s*=\\s*(?:" + QUOTED + "|([^\\s;'].*?))[\\s;]*");
    private static final Pattern RESET = Pattern.compile("(?is)RESET(?:\\s+(?:" + QUOTED + "|([^\\s';]+)))?[\\s;]*");
    private static final String SECRET =
            "(?i)('[^']*(?:password|secret|account.key|api-?key|auth-params|service-key|token|basic-auth|jaas|http-headers|credential)[^']*'\\s*=\\s*)" + QUOTED;
    private static final Pattern PLACE = Pattern.compile("([Ff]rom|at) line \\d+, column \\d+");
    private static final String JOBS = "(EXECUTE|COMPILE AND EXECUTE|UPDATE|DELETE|ANALYZE|CALL) .*"
            + "|(CREATE OR REPLACE|CREATE|REPLACE)( TEMPORARY| MATERIALIZED)? TABLE .* AS .*";

    private final TableEnvironment tables;
    private final Map<String, String> initial;
    private final List<Statement> starters = new ArrayList<>(); // the statements that make the job: all INSERTs, or one other
    private StatementSet inserts;

    private SqlRunner(List<Statement> script) {
        // The runtime mode is fixed when the environment is made, so its first SET counts wherever it stands.
        Configuration conf = new Configuration();
        for (Statement statement : script) {
            Matcher m = SET.matcher(statement.bare);
            if (m.matches() && "execution.runtime-mode".equals(either(m, 1)) && conf.keySet().isEmpty()) {
                conf.setString(either(m, 1), either(m, 3));
            }
        }
        tables = TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(conf).build());
        initial = tables.getConfig().getConfiguration().toMap();
    }

    /** Runs the script; the class says how. */
    public static void main(String[] args) throws Exception {
        List<Statement> script = new ArrayList<>();
        for (int i = 0, jars = 0; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "--script": parse(args[i + 1], script); break;
                case "--script-file": parse(read(args[i + 1]), script); break;
                case "--jar": script.add(jars++, new Statement(0, 1, 1, "ADD JAR '" + args[i + 1].replace("'", "''") + "'")); break;
                default: throw new IllegalArgumentException("unknown argument " + args[i]);
            }
        }
        SqlRunner runner = new SqlRunner(script);
        for (Statement statement : script) {
            try {
                runner.take(statement);
            } catch (Exception | LinkageError failure) {
                throw error(statement, failure);
            }
        }
        runner.start();
    }

    private void take(Statement statement) {
        Matcher assignment = SET.matcher(statement.bare), reset = RESET.matcher(statement.bare);
        String words = statement.words();
        boolean insert = words.matches("(EXECUTE )?INSERT .*");
        boolean job = insert || words.matches(JOBS);
        if (job && !starters.isEmpty() && !(insert && inserts != null)) {
            throw new IllegalArgumentException("it would start a second job beside statement " + starters.get(0).number
                    + ", but a script is one job: gather INSERT INTO statements, and write CREATE TABLE AS as CREATE TABLE and INSERT INTO");
        } else if (insert) {
            inserts = inserts == null ? tables.createStatementSet() : inserts;
            inserts.addInsertSql(statement.placed);
            starters.add(statement);
        } else if (job) {
            starters.add(statement);
        } else if (assignment.matches()) {
            tables.getConfig().set(either(assignment, 1), either(assignment, 3));
        } else if (reset.matches()) {
            reset(either(reset, 1));
        } else if (words.matches("(SELECT|WITH|VALUES|TABLE|SHOW|DESCRIBE|DESC|EXPLAIN) .*|[(].*")) {
            throw new IllegalArgumentException("its result would go nowhere; a job writes to a table: use INSERT INTO, and ask in a SQL shell");
        } else if (!words.matches("BEGIN STATEMENT SET|END|")) {
            tables.executeSql(statement.placed);
        }
    }

    private void reset(String key) {
        Configuration conf = tables.getConfig().getConfiguration();
        for (String each : key == null ? new ArrayList<>(conf.keySet()) : Collections.singletonList(key)) {
            conf.removeConfig(ConfigOptions.key(each).stringType().noDefaultValue());
            if (initial.containsKey(each)) {
                conf.setString(each, initial.get(each));
            }
        }
    }

    private void start() throws Exception {
        if (starters.isEmpty()) {
            throw new IllegalArgumentException("nothing to run: the script has no INSERT INTO");
        }
        try {
            if (inserts != null) {
                inserts.execute();
            } else {
                tables.executeSql(starters.get(0).placed);
            }
        } catch (Exception | LinkageError failure) {
            if ("Failed to execute sql".equals(failure.getMessage()) && failure.getCause() instanceof Exception) {
                throw (Exception) failure.getCause(); // planned well: it is the cluster that refused the job
            }
            for (int i = 0; inserts != null && i < starters.size(); i++) {
                try {
                    tables.explainSql(starters.get(i).placed); // finds the one that cannot be planned
                } catch (Exception | LinkageError fault) {
                    throw error(starters.get(i), fault);
                }
            }
            throw error(starters.get(0), failure);
        }
    }

    private static IllegalArgumentException error(Statement statement, Throwable failure) {
        String text = statement.bare.replaceAll(SECRET, "$1'******'"); // the message stands in Flink's log
        text = text.length() > 200 ? text.substring(0, 200) + "..." : text;
        String reason = reason(failure);
        return new IllegalArgumentException("statement " + statement.number + " at line " + statement.line + ": " + text + ": " + reason
                + " [streampark-sql-error:" + statement.number + ":" + statement.line + ":"
                + BASE64.encodeToString(text.getBytes(UTF_8)) + ":" + BASE64.encodeToString(reason.getBytes(UTF_8)) + "]", failure);
    }

    /** The innermost message that names a place, else the innermost one, without the parser's list of all it expected. */
    private static String reason(Throwable failure) {
        String reason = failure.toString();
        for (Throwable t = failure; t != null; t = t.getCause()) {
            String message = t.getMessage() == null || t.getMessage().contains(" ") ? t.getMessage() : t.toString();
            if (message != null && (PLACE.matcher(message).find() || !PLACE.matcher(reason).find())) {
                reason = message;
            }
        }
        String brief = reason.split("\\s*\\n\\s*Was expecting")[0].trim();
        return brief.length() > 2000 ? brief.substring(0, 2000) + "..." : brief;
    }

    private static String either(Matcher m, int group) {
        return m.group(group) != null ? m.group(group).replace("''", "'") : m.group(group + 1);
    }

    private static String read(String where) throws Exception {
        Path path = where.startsWith("classpath:") ? null : new Path(where);
        try (InputStream in = path == null
                ? SqlRunner.class.getResourceAsStream(where.replace("classpath:", "/")) : path.getFileSystem().open(path)) {
            return new Scanner(Objects.requireNonNull(in, "no script at " + where), "UTF-8").useDelimiter("\\A").next();
        }
    }

    private static void parse(String script, List<Statement> into) {
        String[] parts = script.trim().split("[,\\s]+");
        if (!parts[0].equals("v1")) {
            throw new IllegalArgumentException("not a script for this runner: it begins with '" + parts[0] + "', not with 'v1'");
        }
        for (String part : Arrays.asList(parts).subList(1, parts.length)) {
            String[] fields = part.split("\\.", 4);
            String text = new String(Base64.getUrlDecoder().decode(fields[3]), UTF_8);
            into.add(new Statement(Integer.parseInt(fields[0]), Integer.parseInt(fields[1]), Integer.parseInt(fields[2]), text));
        }
    }

    static final class Statement {
        final int number, line;
        final String bare, placed; // placed: at the user's line and column, so that those in Flink's messages are the user's

        Statement(int number, int line, int column, String text) {
            this.number = number;
            this.line = line;
            bare = text.replaceFirst("(?s)^(?:\\s+|/\\*.*?\\*/|--[^\\n]*)*+", "").trim();
            placed = String.join("", Collections.nCopies(line - 1, "\n")) + String.join("", Collections.nCopies(column - 1, " ")) + text;
        }

        /** The words outside comments, strings, quoted names and parentheses, in capitals. */
        String words() {
            String sql = bare.replaceAll("(?s)/\\*.*?\\*/|--[^\\n]*|'[^']*'|`[^`]*`", " ? ").replace(';', ' ');
            for (String before = ""; !before.equals(sql) && !sql.startsWith("("); ) {
                before = sql;
                sql = sql.replaceAll("[(][^()]*[)]", " ");
            }
            return sql.trim().replaceAll("\\s+", " ").toUpperCase(Locale.ROOT);
        }
    }
}
