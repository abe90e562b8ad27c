use super::*;

fn one_line(text: &str) -> String {
    RootCause::from_stacktrace(text).one_line()
}

#[test]
fn skips_wrappers_and_finds_the_innermost() {
    let text = "org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy\n\
        \tat org.apache.flink.A.b(A.java:213)\n\
        Caused by: java.lang.RuntimeException: cannot parse the order\n\
        \tat Job$1.map(Job.java:20)\n\t... 3 more\n\
        Caused by: java.lang.NumberFormatException: For input string: \"not-a-number\"\n\t... 5 more\n";
    let cause = RootCause::from_stacktrace(text);
    assert_eq!(cause.one_line(), "NumberFormatException: For input string: \"not-a-number\"");
    assert_eq!(cause.chain.len(), 3);
    assert_eq!(cause.chain[1].message, "cannot parse the order");
}

#[test]
fn keeps_messages_of_several_lines_and_shows_the_first() {
    let text = "a.b.FooException: first\nsecond: x\n\n\tat a.b.C.d(C.java:1)\nnoise\n";
    let cause = RootCause::from_stacktrace(text);
    assert_eq!(cause.message, "first\nsecond: x");
    assert_eq!(cause.one_line(), "FooException: first");
}

#[test]
fn suppressed_exceptions_are_not_causes() {
    let text = "java.io.IOException: outer\n\tat a.B.c(B.java:1)\n\tSuppressed: java.lang.IllegalStateException: close\n\
        \t\tat a.B.d(B.java:2)\n\tCaused by: java.lang.Error: inner of suppressed\n\t\t... 1 more\n\
        Caused by: java.io.EOFException: short read\n";
    assert_eq!(one_line(text), "EOFException: short read");
}

#[test]
fn serialized_throwables_show_what_they_carry() {
    let text = "java.util.concurrent.CompletionException: x\n\
        Caused by: org.apache.flink.util.SerializedThrowable: org.apache.flink.util.SerializedThrowable: com.acme.OrderException: no customer\n";
    let cause = RootCause::from_stacktrace(text);
    assert_eq!((cause.class.as_str(), cause.message.as_str()), ("com.acme.OrderException", "no customer"));
}

#[test]
fn a_bare_timeout_is_told_by_the_exception_around_it() {
    let text = "org.apache.flink.util.FlinkException: The heartbeat of TaskManager with id a-1 timed out.\n\tat x.Y.z(Y.java:1)\n\
        Caused by: java.util.concurrent.TimeoutException\n";
    assert_eq!(one_line(text), "FlinkException: The heartbeat of TaskManager with id a-1 timed out.");
    assert_eq!(one_line("java.lang.NullPointerException\n\tat a.B.c(B.java:1)"), "NullPointerException");
}

#[test]
fn wrappers_around_nothing_still_say_something() {
    assert_eq!(one_line("java.util.concurrent.CompletionException: it broke\n"), "CompletionException: it broke");
    assert_eq!(one_line("Jar file does not exist"), "Jar file does not exist");
    assert_eq!(one_line("Error: really"), "Error: really");
    assert_eq!(one_line(""), "");
}

#[test]
fn classification_follows_the_rules_in_order() {
    let class = |text: &str| RootCause::from_stacktrace(text).classify();
    assert_eq!(class("java.lang.ClassNotFoundException: com.acme.Udf"), FailureClass::Fatal);
    assert_eq!(
        class("java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory 'x'"),
        FailureClass::Fatal
    );
    assert_eq!(
        class(
            "org.apache.flink.runtime.execution.SuppressRestartsException: a\nCaused by: java.net.ConnectException: b"
        ),
        FailureClass::Fatal
    );
    assert_eq!(
        class("org.apache.flink.runtime.io.network.netty.exception.RemoteTransportException: Lost connection"),
        FailureClass::Environment
    );
    assert_eq!(
        class("java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id x timed out."),
        FailureClass::Environment
    );
    assert_eq!(class("com.acme.OrderException: no customer"), FailureClass::Unknown);
    let mut labelled = RootCause::from_stacktrace("com.acme.OrderException: no customer");
    labelled.labels.insert("streampark.recovery".into(), "fatal".into());
    assert_eq!(labelled.classify(), FailureClass::Fatal);
    assert!(FailureClass::Unknown.is_recoverable() && !FailureClass::Fatal.is_recoverable());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(.|\n){0,400}") {
            let cause = RootCause::from_stacktrace(&text);
            prop_assert!(!cause.one_line().contains('\n'));
            let _ = cause.classify();
        }
    }
}
