package streampark.testing;

import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.functions.RuntimeContext;

/**
 * Appends one line for each element to {@code DIR/<job id>-<attempt>-<subtask>.txt}, at once and whole:
 * {@code <epoch ms> <job id> <attempt> <subtask> <sequence> <key> <count> <fresh|restored>}.
 * It stands at the end of the job and is no sink class, because no sink interface is shared by Flink 1.16 and 2.x.
 */
final class Recorder extends RichMapFunction<String, String> {
    private static final long serialVersionUID = 1L;

    private final String folder;
    private transient FileOutputStream file;
    private transient String who;

    Recorder(String folder) {
        this.folder = folder;
    }

    @Override
    public String map(String element) throws Exception {
        if (folder == null) {
            return element;
        }
        if (file == null) {
            RuntimeContext context = getRuntimeContext();
            Object task = info(context, "getTaskInfo");
            Object job = info(context, "getJobInfo");
            Object id = call(job, "getJobId");
            Object attempt = call(task, "getAttemptNumber");
            Object subtask = call(task, "getIndexOfThisSubtask");
            who = id + " " + attempt + " " + subtask;
            Path path = Paths.get(folder, id + "-" + attempt + "-" + subtask + ".txt");
            Files.createDirectories(path.getParent());
            file = new FileOutputStream(path.toFile(), true);
        }
        String line = System.currentTimeMillis() + " " + who + " " + element + "\n";
        file.write(line.getBytes(StandardCharsets.UTF_8));
        return element;
    }

    @Override
    public void close() throws Exception {
        if (file != null) {
            file.close();
        }
    }

    /** Since 1.19 these facts live in an info object; before, in the context itself. */
    private static Object info(RuntimeContext context, String getter) {
        try {
            return call(context, getter);
        } catch (ReflectiveOperationException older) {
            return context;
        }
    }

    private static Object call(Object target, String getter) throws ReflectiveOperationException {
        for (Class<?> type : target.getClass().getInterfaces()) {
            try {
                return type.getMethod(getter).invoke(target);
            } catch (NoSuchMethodException next) {
                continue;
            }
        }
        java.lang.reflect.Method method = target.getClass().getMethod(getter);
        method.setAccessible(true);
        return method.invoke(target);
    }
}
