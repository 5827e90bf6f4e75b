import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/** Applies transforms and predicates to records, for one file of fixtures. Records are written once; cases refer to them by number. */
final class Recorder {
    final List<ObjectNode> cases = new ArrayList<>();
    private final Map<ObjectNode, Integer> records = new java.util.HashMap<>();
    private final String prefix;

    /** The package of the transforms, with a dot at its end. */
    Recorder(String prefix) {
        this.prefix = prefix;
    }

    static SourceRecord source(String topic, Schema keySchema, Object key, Schema schema, Object value) {
        ConnectHeaders headers = new ConnectHeaders();
        headers.addString("h", "1");
        return source(topic, keySchema, key, schema, value, headers);
    }

    static SourceRecord source(String topic, Schema keySchema, Object key, Schema schema, Object value, Iterable<org.apache.kafka.connect.header.Header> headers) {
        return new SourceRecord(Map.of("p", 1), Map.of("o", 2), topic, key == null ? null : 3, keySchema, key, schema, value, key == null ? null : 1_700_000_000_123L, headers);
    }

    static SinkRecord sink(String topic, Schema keySchema, Object key, Schema schema, Object value) {
        return new SinkRecord(topic, 4, keySchema, key, schema, value, 99, 1_700_000_000_123L, TimestampType.CREATE_TIME);
    }

    private int define(ConnectRecord<?> record) {
        ObjectNode node = record(record);
        Integer known = records.get(node);
        if (known != null) return known;
        records.put(node, records.size());
        cases.add(Fixtures.JSON.objectNode().set("define", node));
        return records.size() - 1;
    }

    static ObjectNode record(ConnectRecord<?> record) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.put("topic", record.topic());
        node.put("partition", record.kafkaPartition());
        node.put("timestamp", record.timestamp());
        if (record instanceof SinkRecord sink) node.put("offset", sink.kafkaOffset());
        node.set("key", Fixtures.data(record.keySchema(), record.key()));
        node.set("value", Fixtures.data(record.valueSchema(), record.value()));
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(Fixtures.data(header.schema(), header.value()));
        }
        return node;
    }

    void run(String name, Map<String, String> config, ConnectRecord<?>... records) {
        for (ConnectRecord<?> record : records) run(name, config, List.of(record));
    }

    /** Several records through one instance of the transform. */
    void run(String name, Map<String, String> config, List<ConnectRecord<?>> records) {
        ObjectNode node = Fixtures.JSON.objectNode().put("transform", prefix + name);
        node.set("config", Fixtures.config(config));
        Transformation<?>[] transform = new Transformation<?>[1];
        ObjectNode configured = Fixtures.attempt(node.deepCopy(), result -> {
            transform[0] = (Transformation<?>) Class.forName(prefix + name).getDeclaredConstructor().newInstance();
            transform[0].configure(config);
        });
        for (ConnectRecord<?> record : records) {
            int number = define(record);
            if (configured.has("error")) {
                cases.add(configured.deepCopy().put("record", number).put("stage", "configure"));
                return;
            }
            cases.add(Fixtures.attempt(node.deepCopy().put("record", number), result -> {
                java.lang.reflect.Method method = Transformation.class.getMethod("apply", ConnectRecord.class);
                try {
                    ConnectRecord<?> changed = (ConnectRecord<?>) method.invoke(transform[0], record);
                    result.set("result", changed == null ? Fixtures.JSON.nullNode() : record(changed));
                } catch (java.lang.reflect.InvocationTargetException error) {
                    throw (Exception) error.getCause();
                }
            }));
        }
        transform[0].close();
    }

    void test(String name, Map<String, String> config, ConnectRecord<?> record) {
        ObjectNode node = Fixtures.JSON.objectNode().put("predicate", "org.apache.kafka.connect.transforms.predicates." + name);
        node.set("config", Fixtures.config(config));
        node.put("record", define(record));
        cases.add(Fixtures.attempt(node, result -> {
            Predicate<?> predicate =
                (Predicate<?>) Class.forName("org.apache.kafka.connect.transforms.predicates." + name).getDeclaredConstructor().newInstance();
            predicate.configure(config);
            java.lang.reflect.Method method = Predicate.class.getMethod("test", ConnectRecord.class);
            result.put("result", (Boolean) method.invoke(predicate, record));
        }));
    }
}
