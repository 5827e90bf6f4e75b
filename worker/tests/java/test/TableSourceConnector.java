package test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.source.ExactlyOnceSupport;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;

/**
 * Rows 1, 2, 3, ... of a table that no database has, up to the number in the file `limit`, with the source offsets of the JDBC source
 * (mode timestamp+incrementing). `common/table.rs` is its twin. A task notes in the file `starts` after which row it begins.
 */
public class TableSourceConnector extends SourceConnector {
    private Map<String, String> config;

    @Override
    public void start(Map<String, String> config) {
        this.config = config;
    }

    @Override
    public Class<? extends Task> taskClass() {
        return TableTask.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int max) {
        return List.of(config);
    }

    @Override
    public void stop() {}

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public ExactlyOnceSupport exactlyOnceSupport(Map<String, String> config) {
        return ExactlyOnceSupport.SUPPORTED;
    }

    @Override
    public String version() {
        return "1";
    }

    public static class TableTask extends SourceTask {
        private final Map<String, String> partition = new HashMap<>();
        private String topic;
        private Path limit;
        private long last;

        @Override
        public void start(Map<String, String> config) {
            topic = config.get("topic");
            limit = Path.of(config.get("limit"));
            partition.put("table", "db.t");
            partition.put("protocol", "1");
            Map<String, Object> offset = context.offsetStorageReader().offset(partition);
            // The casts are the JDBC source's: numbers of another type must not come back.
            last = offset == null ? 0 : (Long) offset.get("incrementing");
            if (offset != null && !offset.equals(offset(last))) {
                throw new ConnectException("the offset " + offset + " is not that of row " + last);
            }
            try {
                Files.writeString(Path.of(config.get("starts")), "original " + last + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new ConnectException(e);
            }
        }

        @Override
        public List<SourceRecord> poll() throws InterruptedException {
            Thread.sleep(20);
            long until;
            try {
                until = Math.min(Long.parseLong(Files.readString(limit).strip()), last + 100);
            } catch (IOException e) {
                throw new ConnectException(e);
            }
            List<SourceRecord> records = new ArrayList<>();
            while (last < until) {
                last++;
                records.add(new SourceRecord(partition, offset(last), topic, null, "row " + last));
            }
            return records.isEmpty() ? null : records;
        }

        private static Map<String, Object> offset(long row) {
            Map<String, Object> offset = new HashMap<>();
            long ms = 1_700_000_000_000L + 37 * row;
            offset.put("incrementing", row);
            offset.put("timestamp", ms);
            offset.put("timestamp_nanos", ms % 1000 * 1_000_000 + row % 1_000_000);
            return offset;
        }

        @Override
        public void stop() {}

        @Override
        public String version() {
            return "1";
        }
    }
}
