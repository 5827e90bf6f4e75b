import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.runtime.errors.RetryCases;

/**
 * Runs Apache Kafka Connect's own classes over many inputs and writes what they do to files that the Rust tests compare with.
 * Usage: java Fixtures FOLDER [SEED TIMES]
 *
 * The fixtures in the repository are those of seed 0, once. Another seed and more cases are for a search for differences.
 */
public final class Fixtures {
    static final JsonNodeFactory JSON = new JsonNodeFactory(true);
    private static final ObjectMapper MAPPER = new ObjectMapper();

    static long seed = 0;
    static int times = 1;

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        java.util.Locale.setDefault(java.util.Locale.US);
        Path folder = Path.of(arguments[0]);
        if (arguments.length > 2) {
            seed = Long.parseLong(arguments[1]);
            times = Integer.parseInt(arguments[2]);
        }
        Files.createDirectories(folder);
        write(folder, "json-from.json", JsonCases.from());
        write(folder, "json-to.json", JsonCases.to());
        write(folder, "converters.json", ConverterCases.all());
        write(folder, "headers.json", ConverterCases.headers());
        write(folder, "transforms.json", TransformCases.all());
        write(folder, "transforms-fields.json", FieldTransformCases.all());
        write(folder, "transforms-headers.json", HeaderTransformCases.all());
        write(folder, "transforms-timestamps.json", TimestampCases.transforms());
        write(folder, "transforms-debezium.json", DebeziumCases.all());
        write(folder, "date-format.json", TimestampCases.formats());
        write(folder, "config.json", ConfigCases.all());
        write(folder, "definitions.json", ConfigCases.definitions());
        write(folder, "file.json", FileCases.all());
        write(folder, "retries.json", RetryCases.all());
        write(folder, "avro-from.json", AvroCases.from());
        write(folder, "avro-to.json", AvroCases.to());
        write(folder, "wire-theirs.json", WireCases.theirs());
        write(folder, "wire-ours-read.json", WireCases.ours(folder));
        System.exit(0);
    }

    /** One case on each line, so that a change shows as a change of lines. */
    private static void write(Path folder, String name, List<ObjectNode> cases) throws Exception {
        StringBuilder text = new StringBuilder("[\n");
        for (int i = 0; i < cases.size(); i++) {
            text.append(MAPPER.writeValueAsString(cases.get(i))).append(i + 1 < cases.size() ? ",\n" : "\n");
        }
        Files.writeString(folder.resolve(name), text.append("]\n"));
        System.out.println(name + ": " + cases.size() + " cases");
    }

    interface Work {
        void run(ObjectNode result) throws Exception;
    }

    /** Adds what the work says, or the message of its exception and of the causes. */
    static ObjectNode attempt(ObjectNode result, Work work) {
        try {
            work.run(result);
        } catch (Throwable error) {
            result.put("error", String.valueOf(error.getMessage()));
            result.put("class", error.getClass().getName());
        }
        return result;
    }

    static ObjectNode data(Schema schema, Object value) {
        ObjectNode node = JSON.objectNode();
        node.set("schema", schema(schema));
        node.set("value", value(schema, value));
        return node;
    }

    static com.fasterxml.jackson.databind.JsonNode schema(Schema schema) {
        if (schema == null) {
            return JSON.nullNode();
        }
        ObjectNode node = JSON.objectNode();
        node.put("type", schema.type().toString());
        if (schema.isOptional()) node.put("optional", true);
        if (schema.name() != null) node.put("name", schema.name());
        if (schema.version() != null) node.put("version", schema.version());
        if (schema.doc() != null) node.put("doc", schema.doc());
        if (schema.parameters() != null) {
            ArrayNode parameters = node.putArray("parameters");
            schema.parameters().forEach((key, value) -> parameters.addArray().add(key).add(value));
        }
        if (schema.defaultValue() != null) node.set("default", value(schema, schema.defaultValue()));
        switch (schema.type()) {
            case STRUCT -> {
                ArrayNode fields = node.putArray("fields");
                for (Field field : schema.fields()) {
                    fields.addArray().add(field.name()).add(schema(field.schema()));
                }
            }
            case MAP -> {
                node.set("keys", schema(schema.keySchema()));
                node.set("values", schema(schema.valueSchema()));
            }
            case ARRAY -> node.set("values", schema(schema.valueSchema()));
            default -> { }
        }
        return node;
    }

    /** A tag and the value: Rust's variants, so that an integer of the wrong width shows. */
    static ArrayNode value(Schema schema, Object value) {
        ArrayNode node = JSON.arrayNode();
        if (value == null) {
            return node.add("null");
        } else if (value instanceof Boolean v) {
            return node.add("bool").add(v);
        } else if (value instanceof Byte v) {
            return node.add("i8").add(v);
        } else if (value instanceof Short v) {
            return node.add("i16").add(v);
        } else if (value instanceof Integer v) {
            return node.add("i32").add(v);
        } else if (value instanceof Long v) {
            return node.add("i64").add(v);
        } else if (value instanceof Float v) {
            return node.add("f32").add(Integer.toUnsignedString(Float.floatToIntBits(v)));
        } else if (value instanceof Double v) {
            return node.add("f64").add(Long.toUnsignedString(Double.doubleToLongBits(v)));
        } else if (value instanceof String v) {
            // Half a pair of surrogates cannot be written as UTF-8.
            return node.add("string").add(v.replaceAll("[\\ud800-\\udfff]", "\ufffd"));
        } else if (value instanceof byte[] v) {
            return node.add("bytes").add(Base64.getEncoder().encodeToString(v));
        } else if (value instanceof java.nio.ByteBuffer v) {
            byte[] bytes = new byte[v.remaining()];
            v.duplicate().get(bytes);
            return node.add("bytes").add(Base64.getEncoder().encodeToString(bytes));
        } else if (value instanceof BigDecimal v) {
            return node.add("decimal").add(Base64.getEncoder().encodeToString(v.unscaledValue().toByteArray())).add(v.scale());
        } else if (value instanceof java.util.Date v) {
            String name = schema == null ? null : schema.name();
            if (Date.LOGICAL_NAME.equals(name)) return node.add("date").add(v.getTime() / 86_400_000L);
            if (Time.LOGICAL_NAME.equals(name)) return node.add("time").add(v.getTime());
            return node.add("timestamp").add(v.getTime());
        } else if (value instanceof List<?> v) {
            ArrayNode items = node.add("array").addArray();
            Schema element = schema == null ? null : schema.valueSchema();
            v.forEach(item -> items.add(value(element, item)));
            return node;
        } else if (value instanceof Map<?, ?> v) {
            ArrayNode entries = node.add("map").addArray();
            Schema keys = schema == null ? null : schema.keySchema();
            Schema values = schema == null ? null : schema.valueSchema();
            v.forEach((key, item) -> entries.addArray().add(value(keys, key)).add(value(values, item)));
            return node;
        } else if (value instanceof Struct v) {
            node.add("struct").add(schema(v.schema()));
            ArrayNode items = node.addArray();
            for (Field field : v.schema().fields()) {
                items.add(value(field.schema(), v.getWithoutDefault(field.name())));
            }
            return node;
        }
        throw new IllegalArgumentException(value.getClass().getName());
    }

    static ObjectNode config(Map<String, String> config) {
        ObjectNode node = JSON.objectNode();
        new java.util.TreeMap<>(config).forEach(node::put);
        return node;
    }

    static Schema decimal(int scale) {
        return Decimal.schema(scale);
    }

    static java.util.Date date(long millis) {
        return new java.util.Date(millis);
    }

    static final Schema DATE = Date.SCHEMA;
    static final Schema TIME = Time.SCHEMA;
    static final Schema TIMESTAMP = Timestamp.SCHEMA;
}
