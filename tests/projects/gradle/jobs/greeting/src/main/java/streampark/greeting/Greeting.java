package streampark.greeting;

/** Says hello. */
public final class Greeting {
    private Greeting() {}

    /** Takes no arguments. */
    public static void main(String[] args) {
        System.out.println("hello");
    }
}
