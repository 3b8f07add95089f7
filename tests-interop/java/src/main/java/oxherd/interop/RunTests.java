package oxherd.interop;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs the JUnit classes named as arguments; one line a test on stdout or at the end of the file RESULTS: PASS, FAIL
 * or SKIP, a tab, class::method. A test that only fails in the file BASELINE, taken on the original server, is left out.
 */
public final class RunTests {
    private RunTests() {}

    public static void main(String[] args) throws Exception {
        String file = System.getenv("RESULTS");
        PrintStream results = file == null ? System.out : new PrintStream(new FileOutputStream(file, true), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        LauncherDiscoveryRequestBuilder builder = LauncherDiscoveryRequestBuilder.request()
            .configurationParameter("junit.jupiter.execution.timeout.default", "60 s")
            .configurationParameter("junit.jupiter.execution.timeout.thread.mode.default", "SEPARATE_THREAD");
        for (String name : args) {
            builder.selectors(name.contains("#") ? DiscoverySelectors.selectMethod(name) : DiscoverySelectors.selectClass(name));
        }
        Set<String> hopeless = hopeless();
        builder.filters((PostDiscoveryFilter) test -> FilterResult.includedIf(
            test.getSource().filter(MethodSource.class::isInstance).map(MethodSource.class::cast)
                .map(s -> !hopeless.contains(s.getClassName().replaceFirst(".*\\.", "") + "::" + s.getMethodName())).orElse(true)));
        LauncherDiscoveryRequest request = builder.build();
        LauncherFactory.create().execute(request, new Reporter(results));
        results.flush();
        System.exit(0);
    }

    private static Set<String> hopeless() throws IOException {
        String file = System.getenv("BASELINE");
        Set<String> failed = new HashSet<>();
        Set<String> passed = new HashSet<>();
        for (String line : file == null ? List.<String>of() : Files.readAllLines(Path.of(file))) {
            String test = line.replaceFirst("^[A-Z]+\\t", "").replaceFirst(" \\[.*", "");
            (line.startsWith("FAIL\t") ? failed : passed).add(test);
        }
        failed.removeAll(passed);
        return failed;
    }

    private record Reporter(PrintStream results) implements TestExecutionListener {
        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            results.println("SKIP\t" + name(test));
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            if (!test.isTest() && result.getStatus() != TestExecutionResult.Status.FAILED) {
                return;
            }
            String verdict = switch (result.getStatus()) {
                case SUCCESSFUL -> "PASS";
                case ABORTED -> "SKIP";
                case FAILED -> "FAIL";
            };
            results.println(verdict + "\t" + name(test));
            results.flush();
            result.getThrowable().filter(t -> verdict.equals("FAIL")).ifPresent(t -> {
                System.err.println("--- " + name(test));
                t.printStackTrace();
            });
        }

        private static String name(TestIdentifier test) {
            String suffix = test.getDisplayName().startsWith("[") ? " " + test.getDisplayName() : "";
            return test.getSource().filter(MethodSource.class::isInstance).map(MethodSource.class::cast)
                .map(s -> s.getClassName().replaceFirst(".*\\.", "") + "::" + s.getMethodName() + suffix)
                .orElse(test.getDisplayName());
        }
    }
}
