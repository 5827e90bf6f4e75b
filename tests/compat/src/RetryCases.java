package org.apache.kafka.connect.runtime.errors;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.runtime.ConnectMetrics;
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.util.ConnectorTaskId;

/** `errors.retry.*`: how often RetryWithToleranceOperator tries, and how long it waits, on a clock that only it moves. */
public final class RetryCases {
    private static final class Clock implements Time {
        long now = 1_000_000;

        @Override
        public long milliseconds() {
            return now;
        }

        @Override
        public long nanoseconds() {
            return now * 1_000_000;
        }

        @Override
        public void sleep(long ms) {
            now += ms;
        }

        @Override
        public void waitObject(Object object, Supplier<Boolean> condition, long deadline) {
            throw new UnsupportedOperationException();
        }
    }

    /** The operator waits on this for its pauses. Those that it draws by lot are null, and take half of the longest. */
    private static final class Pauses extends CountDownLatch {
        final Clock clock;
        final long longest;
        final ArrayNode seen = JsonNodeFactory.instance.arrayNode();

        Pauses(Clock clock, long longest) {
            super(1);
            this.clock = clock;
            this.longest = longest;
        }

        @Override
        public boolean await(long time, TimeUnit unit) {
            if (RetryWithToleranceOperator.RETRIES_DELAY_MIN_MS << seen.size() > longest) {
                if (unit.toMillis(time) > longest) throw new AssertionError(time);
                seen.addNull();
                clock.now += longest / 2;
            } else {
                seen.add(unit.toMillis(time));
                clock.now += unit.toMillis(time);
            }
            return false;
        }
    }

    private static final class Counts extends ErrorHandlingMetrics {
        int failures, errors, skipped, retries;

        Counts(ConnectMetrics metrics) {
            super(new ConnectorTaskId("c", 0), metrics);
        }

        @Override
        public void recordFailure() {
            failures++;
        }

        @Override
        public void recordError() {
            errors++;
        }

        @Override
        public void recordSkipped() {
            skipped++;
        }

        @Override
        public void recordRetry() {
            retries++;
        }
    }

    public static List<ObjectNode> all() {
        List<ObjectNode> cases = new ArrayList<>();
        for (long timeout : new long[] {0, 1, 299, 300, 301, 1000, 1500, 5000, 60_000, -1}) {
            for (long longest : new long[] {60_000, 1000, 100}) {
                for (int fails : new int[] {1, 3, 12}) {
                    cases.add(attempt(timeout, longest, fails, fails == 3 ? 250 : 0, ToleranceType.ALL));
                }
            }
        }
        cases.add(attempt(1000, 60_000, 12, 0, ToleranceType.NONE));
        cases.add(attempt(0, 60_000, 12, 0, ToleranceType.NONE));
        return cases;
    }

    private static ObjectNode attempt(long timeout, long longest, int fails, long takes, ToleranceType tolerance) {
        Clock clock = new Clock();
        Pauses pauses = new Pauses(clock, longest);
        Map<String, String> worker = Map.of(
            "bootstrap.servers", "none:9", "offset.storage.file.filename", "none",
            "key.converter", "org.apache.kafka.connect.storage.StringConverter",
            "value.converter", "org.apache.kafka.connect.storage.StringConverter");
        Counts counts = new Counts(new ConnectMetrics("w", new StandaloneConfig(worker), clock, "cluster"));
        RetryWithToleranceOperator<Object> operator =
            new RetryWithToleranceOperator<>(timeout, longest, tolerance, clock, counts, pauses);
        ProcessingContext<Object> context = new ProcessingContext<>(new Object());
        int[] attempts = {0};
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("errors.retry.timeout", String.valueOf(timeout)).put("errors.retry.delay.max.ms", String.valueOf(longest));
        node.put("errors.tolerance", tolerance.value()).put("fails", fails).put("attempt.ms", takes);
        boolean thrown = false;
        Object result = null;
        try {
            result = operator.execute(context, () -> {
                clock.now += takes;
                if (++attempts[0] <= fails) throw new RetriableException("not yet");
                return "done";
            }, Stage.VALUE_CONVERTER, RetryCases.class);
        } catch (RuntimeException e) {
            thrown = true;
        }
        node.put("done", result != null).put("thrown", thrown).put("attempts", attempts[0]);
        node.put("failures", counts.failures).put("errors", counts.errors);
        node.put("skipped", counts.skipped).put("retries", counts.retries);
        node.set("pauses", pauses.seen);
        return node;
    }
}
