import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.file.FileStreamSinkTask;
import org.apache.kafka.connect.file.FileStreamSourceTask;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTaskContext;
import org.apache.kafka.connect.storage.OffsetStorageReader;

/** The FileStream tasks on real files. */
final class FileCases {
    static List<ObjectNode> all() throws Exception {
        List<ObjectNode> cases = new ArrayList<>();
        for (String text : List.of(
            "a\nb\n", "a\r\nb\r\n", "a\rb\rc", "a\n\nb\n", "\n", "\r\n", "\r", "a\r", "a\r\r\n", "partial", "a\npartial", "\n\r\n\r", "x\r\n\ny\n",
            "tab\there\n", "nul\u0000in\n", "a b  c \n", "x".repeat(3000) + "\ny\n", ("l" + "i".repeat(1021) + "\r\n").repeat(3), ("l" + "i".repeat(1022) + "\n").repeat(3))) {
            cases.add(source(text.getBytes(StandardCharsets.US_ASCII), null));
        }
        cases.add(source("one\ntwo\nthree\n".getBytes(StandardCharsets.US_ASCII), 4L));
        cases.add(source("one\ntwo\nthree\n".getBytes(StandardCharsets.US_ASCII), 8L));
        cases.add(source("one\ntwo\nthree\n".getBytes(StandardCharsets.US_ASCII), 0L));
        // Lines only: Java's positions of text that is not ASCII do not count bytes.
        cases.add(source("ümlaut 日本 😀\nnext\n".getBytes(StandardCharsets.UTF_8), null));
        cases.add(source(new byte[] {'a', (byte) 0xff, 'b', '\n', (byte) 0xc3, '\n', (byte) 0xe2, (byte) 0x82, 'x', '\n', (byte) 0xf0, (byte) 0x9f, (byte) 0x98, '\r', '\n'}, null));
        cases.add(source(new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80, '\n', (byte) 0xc0, (byte) 0x80, '\n', (byte) 0xf5, (byte) 0x80, '\n'}, null));
        cases.add(source("\ufefflead\n".getBytes(StandardCharsets.UTF_8), null));
        cases.add(sink());
        return cases;
    }

    private static ObjectNode source(byte[] bytes, Long position) throws Exception {
        Path file = Files.createTempFile("filestream", ".txt");
        Files.write(file, bytes);
        ObjectNode node = Fixtures.JSON.objectNode().put("task", "source").put("bytes", Base64.getEncoder().encodeToString(bytes));
        node.put("position", position);
        FileStreamSourceTask task = new FileStreamSourceTask();
        Map<String, Object> offset = position == null ? null : Map.of("position", position);
        task.initialize((SourceTaskContext) java.lang.reflect.Proxy.newProxyInstance(FileCases.class.getClassLoader(), new Class<?>[] {SourceTaskContext.class},
            (proxy, method, arguments) -> java.lang.reflect.Proxy.newProxyInstance(FileCases.class.getClassLoader(), new Class<?>[] {OffsetStorageReader.class},
                (reader, read, keys) -> offset)));
        task.start(Map.of("file", file.toString(), "topic", "t"));
        ArrayNode lines = node.putArray("lines");
        // The second poll sees that there is no more.
        for (int i = 0; i < 2; i++) {
            List<SourceRecord> records = task.poll();
            if (records == null) continue;
            for (SourceRecord record : records) {
                lines.addArray().add((String) record.value()).add((Long) record.sourceOffset().get("position"));
            }
        }
        task.stop();
        Files.delete(file);
        return node;
    }

    private static ObjectNode sink() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        FileStreamSinkTask task = new FileStreamSinkTask(new PrintStream(out, false, StandardCharsets.UTF_8));
        ObjectNode node = Fixtures.JSON.objectNode().put("task", "sink");
        ArrayNode values = node.putArray("values");
        Schema struct = SchemaBuilder.struct().field("a", Schema.INT32_SCHEMA).field("b", Schema.OPTIONAL_STRING_SCHEMA)
            .field("m", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.FLOAT64_SCHEMA).optional().build()).build();
        Map<String, Object> map = new HashMap<>();
        for (int i = 0; i < 14; i++) map.put("key-" + i * 17, i % 2 == 0 ? null : List.of(i, "x"));
        Object[][] data = {
            {null, "text"}, {null, "ümlaut 😀"}, {null, null}, {null, 1}, {null, (byte) 2}, {null, 3L}, {null, 1.0}, {null, 1e10}, {null, 0.001f}, {null, true},
            {struct, new Struct(struct).put("a", 1)}, {struct, new Struct(struct).put("a", 1).put("b", "x").put("m", Map.of("k", 2.5))}, {null, map},
            {null, List.of(1, List.of("a"), Map.of("k", true))}, {Fixtures.decimal(2), new BigDecimal("12.50")}, {Fixtures.TIMESTAMP, Fixtures.date(1_700_000_000_123L)},
            {Fixtures.DATE, Fixtures.date(0)}, {Fixtures.TIME, Fixtures.date(3_723_004)}, {null, "line\nend"}
        };
        List<SinkRecord> records = new ArrayList<>();
        for (Object[] item : data) {
            values.add(Fixtures.data((Schema) item[0], item[1]));
            records.add(new SinkRecord("t", 0, null, null, (Schema) item[0], item[1], 0));
        }
        task.put(records);
        task.flush(Map.of());
        node.put("output", out.toString(StandardCharsets.UTF_8));
        return node;
    }
}
