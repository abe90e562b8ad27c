package streampark.testing;

/** CountingJob with an end: 100 elements, or --count of them, then FINISHED. */
public final class FiniteJob {
    private FiniteJob() {}

    /** See docs/testing.md for the arguments. */
    public static void main(String[] args) throws Exception {
        CountingJob.run(new Options(args), "finite", 100);
    }
}
