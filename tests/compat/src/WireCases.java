import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.ByteString;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.util.JsonFormat;
import com.networknt.schema.JsonSchema;
import io.apicurio.registry.resolver.ParsedSchema;
import io.apicurio.registry.resolver.ParsedSchemaImpl;
import io.apicurio.registry.resolver.SchemaLookupResult;
import io.apicurio.registry.resolver.SchemaParser;
import io.apicurio.registry.resolver.SchemaResolver;
import io.apicurio.registry.resolver.data.Record;
import io.apicurio.registry.resolver.strategy.ArtifactReference;
import io.apicurio.registry.resolver.strategy.ArtifactReferenceResolverStrategy;
import io.apicurio.registry.rest.client.RegistryClient;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import io.apicurio.registry.serde.avro.NonRecordContainer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaDeserializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaSerializer;
import io.apicurio.registry.utils.converter.AvroConverter;
import io.apicurio.registry.utils.converter.SerdeBasedConverter;
import io.apicurio.registry.utils.converter.avro.AvroData;
import io.apicurio.registry.utils.converter.avro.AvroDataConfig;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.ByteUtils;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;

/**
 * Messages in Confluent's wire format, written and read by what Maven Central has of it: for Avro and JSON Schema Apicurio's
 * serializers with the ids of Confluent's registry. Apicurio's Protobuf serializer has a format of its own, so for Protobuf it is
 * Google's compiler and messages, and Kafka's variable-length numbers, which Confluent's message indexes are made of.
 */
final class WireCases {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** Schemas by their ids, in memory. */
    private static final class Memory<S, D> implements SchemaResolver<S, D> {
        private final List<String> texts = new ArrayList<>();
        private SchemaParser<S, D> parser;
        /** What values are written with when it is not made of them. */
        private String fixed;

        @Override
        public void configure(Map<String, ?> config, SchemaParser<S, D> parser) {
            this.parser = parser;
        }

        int add(String text) {
            if (!texts.contains(text)) texts.add(text);
            return texts.indexOf(text) + 1;
        }

        String text(byte[] message) {
            return texts.get(ByteBuffer.wrap(message).getInt(1) - 1);
        }

        private SchemaLookupResult<S> result(long id) {
            byte[] raw = texts.get((int) id - 1).getBytes(StandardCharsets.UTF_8);
            ParsedSchema<S> schema = new ParsedSchemaImpl<S>().setParsedSchema(parser.parseSchema(raw, Map.of())).setRawSchema(raw);
            return SchemaLookupResult.<S>builder().contentId(id).globalId(id).parsedSchema(schema).build();
        }

        @Override
        public SchemaLookupResult<S> resolveSchema(Record<D> data) {
            String text = fixed != null ? fixed : new String(parser.getSchemaFromData(data, true).getRawSchema(), StandardCharsets.UTF_8);
            return result(add(text));
        }

        @Override
        public SchemaLookupResult<S> resolveSchemaByArtifactReference(ArtifactReference reference) {
            return result(reference.getContentId());
        }

        @Override
        public SchemaParser<S, D> getSchemaParser() {
            return parser;
        }

        @Override
        public void setClient(RegistryClient client) { }

        @Override
        public void setArtifactResolverStrategy(ArtifactReferenceResolverStrategy<S, D> strategy) { }

        @Override
        public void reset() { }

        @Override
        public void close() { }
    }

    /** The four bytes of Confluent's ids, which in Apicurio's registry are those of contents. */
    private static Map<String, Object> config() {
        return new HashMap<>(Map.of("apicurio.registry.as-confluent", true, "apicurio.registry.use-id", "contentId",
            "apicurio.registry.serde.validation-enabled", true));
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    /** Messages that they wrote, with what is in them. */
    static List<ObjectNode> theirs() throws Exception {
        List<ObjectNode> cases = new ArrayList<>();
        for (Object[] pair : AvroCases.picked()) avro(cases, (Schema) pair[0], pair[1]);
        Random random = new Random(41);
        for (int i = 0; i < 60 * Fixtures.times; i++) {
            Schema schema = AvroCases.schema(random, 3);
            avro(cases, schema, AvroCases.value(random, schema));
        }
        for (String[] texts : DOCUMENTS) {
            for (int i = 1; i < texts.length; i++) json(cases, texts[0], texts[i]);
        }
        for (int i = 0; i < 12 * Fixtures.times; i++) {
            for (int[] path : PATHS) cases.add(protobuf(random, path));
        }
        return cases;
    }

    /** What they read in the messages that ours wrote (`wire-ours.json`, which the Rust test writes). */
    static List<ObjectNode> ours(Path folder) throws Exception {
        List<ObjectNode> cases = new ArrayList<>();
        for (JsonNode ours : MAPPER.readTree(folder.resolve("wire-ours.json").toFile())) {
            String schema = ours.get("schema").asText();
            byte[] message = Base64.getDecoder().decode(ours.get("message").asText());
            ObjectNode node = Fixtures.JSON.objectNode().put("case", cases.size());
            cases.add(Fixtures.attempt(node, result -> {
                switch (ours.get("format").asText()) {
                    case "AVRO" -> {
                        Memory<org.apache.avro.Schema, Object> memory = new Memory<>();
                        memory.add(schema);
                        SchemaAndValue data = data(memory, message);
                        result.set("data", Fixtures.data(data.schema(), data.value()));
                    }
                    case "JSON" -> {
                        Memory<JsonSchema, JsonNode> memory = new Memory<>();
                        memory.add(schema);
                        JsonSchemaKafkaDeserializer<JsonNode> deserializer = new JsonSchemaKafkaDeserializer<>(memory);
                        deserializer.configure(config(), false);
                        result.set("json", deserializer.deserialize("t", message));
                    }
                    default -> {
                        ByteBuffer buffer = ByteBuffer.wrap(message);
                        if (buffer.get() != 0) throw new IllegalArgumentException("magic");
                        int id = buffer.getInt();
                        int[] path = path(buffer);
                        DynamicMessage read = DynamicMessage.parseFrom(descriptor(schema, path), ByteString.copyFrom(buffer));
                        if (!read.getUnknownFields().asMap().isEmpty()) throw new IllegalArgumentException("unknown fields");
                        result.put("again", base64(message(id, path, read)));
                        result.put("json", JsonFormat.printer().preservingProtoFieldNames().omittingInsignificantWhitespace().print(read));
                    }
                }
            }));
        }
        return cases;
    }

    private static AvroConverter<Object> avroConverter(Memory<org.apache.avro.Schema, Object> memory) {
        AvroConverter<Object> converter = new AvroConverter<>();
        Map<String, Object> config = config();
        config.put(SerdeBasedConverter.REGISTRY_CONVERTER_SERIALIZER_PARAM, new AvroKafkaSerializer<Object>(memory));
        config.put(SerdeBasedConverter.REGISTRY_CONVERTER_DESERIALIZER_PARAM, new AvroKafkaDeserializer<Object>());
        converter.configure(config, false);
        return converter;
    }

    private static void avro(List<ObjectNode> cases, Schema schema, Object value) {
        // Bytes that are the whole value have no length in Confluent's format, and have one in Apicurio's. Null is no message.
        if (value == null || schema == null || schema.type() == Schema.Type.BYTES && !schema.isOptional()) return;
        Memory<org.apache.avro.Schema, Object> memory = new Memory<>();
        AvroConverter<Object> converter = avroConverter(memory);
        byte[] message;
        try {
            message = converter.fromConnectData("t", schema, value);
        } catch (RuntimeException notWritten) {
            return;
        }
        ObjectNode node = Fixtures.JSON.objectNode().put("format", "AVRO").put("schema", memory.text(message)).put("message", base64(message));
        cases.add(Fixtures.attempt(node, result -> {
            SchemaAndValue data = data(memory, message);
            result.set("data", Fixtures.data(data.schema(), data.value()));
            // Maps come out in another order than they went in.
            byte[] again = converter.fromConnectData("t", data.schema(), data.value());
            result.put("again", base64(ByteBuffer.wrap(again).putInt(1, 1).array()));
        }));
    }

    /** Of the converter itself the plain values have no schema, so its two parts are used one by one, as Confluent's does. */
    private static SchemaAndValue data(Memory<org.apache.avro.Schema, Object> memory, byte[] message) {
        AvroKafkaDeserializer<Object> deserializer = new AvroKafkaDeserializer<>();
        deserializer.setSchemaResolver(memory);
        deserializer.configure(config(), false);
        Object datum = deserializer.deserialize("t", message);
        if (datum instanceof NonRecordContainer container) datum = container.getValue();
        org.apache.avro.Schema schema = new org.apache.avro.Schema.Parser().setValidateDefaults(false).parse(memory.text(message));
        return new AvroData(new AvroDataConfig(Map.of())).toConnectData(schema, datum, null);
    }

    private static final String DRAFT = "\"$schema\":\"http://json-schema.org/draft-07/schema#\",";

    /** JSON Schemas, each with documents that it allows. */
    private static final String[][] DOCUMENTS = {
        {"{" + DRAFT + "\"type\":\"object\",\"title\":\"Row\",\"properties\":{\"id\":{\"type\":\"integer\"},\"name\":{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]},"
            + "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"inner\":{\"type\":\"object\",\"properties\":{\"ratio\":{\"type\":\"number\"},\"on\":{\"type\":\"boolean\"}}}}}",
            "{\"id\":1,\"name\":\"ü\\n\",\"tags\":[\"a\",\"\"],\"inner\":{\"ratio\":-0.5,\"on\":true}}", "{\"id\":-9007199254740993,\"name\":null,\"tags\":[],\"inner\":{\"ratio\":1.0E300,\"on\":false}}"},
        {"{" + DRAFT + "\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"connect.type\":\"int8\"},\"m\":{\"type\":\"object\",\"connect.type\":\"map\",\"additionalProperties\":{\"type\":\"integer\",\"connect.type\":\"int32\"}},"
            + "\"e\":{\"type\":\"string\",\"enum\":[\"RED\",\"GREEN\"]},\"b\":{\"type\":\"string\",\"connect.type\":\"bytes\"}}}",
            "{\"n\":-128,\"m\":{\"k\":1},\"e\":\"GREEN\",\"b\":\"AP8=\"}", "{\"n\":127,\"m\":{},\"e\":\"RED\",\"b\":\"\"}"},
        {"{" + DRAFT + "\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"number\",\"connect.type\":\"float32\"}}}", "[[1.5,-2.25],[]]", "[]"},
        {"{" + DRAFT + "\"type\":\"string\"}", "\"😀\"", "\"\""}, {"{" + DRAFT + "\"type\":\"integer\"}", "7"}, {"{" + DRAFT + "\"type\":\"boolean\"}", "true"},
        {"{" + DRAFT + "\"type\":\"object\",\"properties\":{\"child\":{\"$ref\":\"#/definitions/node\"}},\"definitions\":{\"node\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"}}}}}",
            "{\"child\":{\"x\":3}}"},
    };

    private static void json(List<ObjectNode> cases, String schema, String document) {
        ObjectNode node = Fixtures.JSON.objectNode().put("format", "JSON").put("schema", schema);
        cases.add(Fixtures.attempt(node, result -> {
            Memory<JsonSchema, JsonNode> memory = new Memory<>();
            memory.fixed = schema;
            JsonSchemaKafkaSerializer<JsonNode> serializer = new JsonSchemaKafkaSerializer<>(memory);
            serializer.configure(config(), false);
            result.put("message", base64(serializer.serialize("t", MAPPER.readTree(document))));
        }));
    }

    private static final String PROTO = "syntax = \"proto3\";\npackage dev.example;\n\nimport \"google/protobuf/timestamp.proto\";\n\n"
        + "message First {\n  int32 a = 1;\n  message Inner {\n    string s = 1;\n    message Deep { sint64 z = 1; repeated sint32 zs = 2; }\n    Deep deep = 2;\n  }\n  message Other { bool b = 1; }\n  Inner inner = 2;\n}\n\n"
        + "message Row {\n  int32 i32 = 1;\n  sint32 s32 = 2;\n  fixed32 f32 = 3;\n  sfixed32 sf32 = 4;\n  int64 i64 = 5;\n  sint64 s64 = 6;\n  uint32 u32 = 7;\n  fixed64 f64 = 8;\n  sfixed64 sf64 = 9;\n"
        + "  float f = 10;\n  double d = 11;\n  bool b = 12;\n  string s = 13;\n  bytes by = 14;\n  Color color = 15;\n  repeated int64 longs = 16;\n  repeated string words = 17;\n  map<string, int32> counts = 18;\n"
        + "  First first = 19;\n  repeated First.Other others = 20;\n  optional string maybe = 21;\n  google.protobuf.Timestamp at = 22;\n  repeated Color colors = 2047;\n  enum Color { RED = 0; GREEN = 1; BLUE = 7; }\n}\n";
    /** Of the messages above: the first, one in it, one in that, one beside, the last. */
    private static final int[][] PATHS = {{0}, {0, 0}, {0, 0, 0}, {0, 1}, {1}};

    private static ObjectNode protobuf(Random random, int[] path) {
        ObjectNode node = Fixtures.JSON.objectNode().put("format", "PROTOBUF").put("schema", PROTO);
        return Fixtures.attempt(node, result -> {
            DynamicMessage message = message(random, descriptor(PROTO, path), 3);
            result.put("message", base64(message(1, path, message)));
            String text = JsonFormat.printer().preservingProtoFieldNames().includingDefaultValueFields().omittingInsignificantWhitespace().print(message);
            result.set("json", MAPPER.readTree(text));
        });
    }

    private static DynamicMessage message(Random random, Descriptor descriptor, int depth) {
        DynamicMessage.Builder builder = DynamicMessage.newBuilder(descriptor);
        for (FieldDescriptor field : descriptor.getFields()) {
            if (field.isMapField()) {
                // One entry: the order of several is nobody's promise.
                Descriptor entry = field.getMessageType();
                builder.addRepeatedField(field, DynamicMessage.newBuilder(entry).setField(entry.findFieldByName("key"), random.word())
                    .setField(entry.findFieldByName("value"), random.below(2000) - 1000).build());
            } else if (field.isRepeated()) {
                for (int i = random.below(4); i > 0; i--) builder.addRepeatedField(field, value(random, field, depth));
            } else if (field.getJavaType() == FieldDescriptor.JavaType.MESSAGE ? depth > 0 && random.chance(70) : random.chance(75)) {
                builder.setField(field, value(random, field, depth));
            }
        }
        return builder.build();
    }

    private static Object value(Random random, FieldDescriptor field, int depth) {
        boolean unsigned = field.getType() == FieldDescriptor.Type.UINT32 || field.getType() == FieldDescriptor.Type.FIXED32 || field.getType() == FieldDescriptor.Type.FIXED64;
        return switch (field.getJavaType()) {
            case INT -> unsigned ? random.below(Integer.MAX_VALUE) : random.below(Integer.MAX_VALUE) * (random.chance(50) ? -1 : 1);
            case LONG -> (long) random.below(Integer.MAX_VALUE) * (unsigned || random.chance(50) ? 1 << 20 : -(1 << 20));
            case FLOAT -> (random.below(2000) - 1000) / 8f;
            case DOUBLE -> random.number();
            case BOOLEAN -> random.chance(50);
            case STRING -> random.word();
            case BYTE_STRING -> ByteString.copyFrom(new byte[] {(byte) random.below(256), 0, (byte) 0xff});
            case ENUM -> field.getEnumType().getValues().get(random.below(field.getEnumType().getValues().size()));
            case MESSAGE -> {
                Descriptor type = field.getMessageType();
                if (!type.getFullName().equals("google.protobuf.Timestamp")) yield message(random, type, depth - 1);
                // Connect has milliseconds.
                yield DynamicMessage.newBuilder(type).setField(type.findFieldByName("seconds"), (long) random.below(2_000_000_000) - 500_000_000L)
                    .setField(type.findFieldByName("nanos"), random.below(1000) * 1_000_000).build();
            }
        };
    }

    /** The files that schemas of the Protobuf converter import: Google's from Google's jars, Confluent's from the converter. */
    private static Path imports() throws Exception {
        Path folder = Files.createTempDirectory("wire");
        for (String name : List.of("google/protobuf/descriptor.proto", "google/protobuf/timestamp.proto", "google/type/date.proto", "google/type/timeofday.proto")) {
            try (InputStream file = WireCases.class.getClassLoader().getResourceAsStream(name)) {
                Files.createDirectories(folder.resolve(name).getParent());
                Files.copy(file, folder.resolve(name));
            }
        }
        for (String name : List.of("meta.proto", "type/decimal.proto")) {
            Path file = folder.resolve("confluent").resolve(name);
            Files.createDirectories(file.getParent());
            Files.copy(Path.of(System.getProperty("proto")).resolve(file.getFileName()), file);
        }
        return folder;
    }

    private static Path imports;
    private static final Map<String, FileDescriptor> COMPILED = new HashMap<>();

    /** What Google's own compiler makes of a schema. */
    private static FileDescriptor compile(String schema) throws Exception {
        if (COMPILED.containsKey(schema)) return COMPILED.get(schema);
        if (imports == null) imports = imports();
        Path compiled = imports.resolve("schema.desc");
        Files.writeString(imports.resolve("schema.proto"), schema);
        Process process = new ProcessBuilder(System.getProperty("protoc"), "--include_imports", "-I", imports.toString(), "-o", compiled.toString(), "schema.proto")
            .redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) throw new IllegalArgumentException(said);
        // In the order in which they need each other.
        Map<String, FileDescriptor> files = new HashMap<>();
        FileDescriptor last = null;
        for (FileDescriptorProto file : FileDescriptorSet.parseFrom(Files.readAllBytes(compiled)).getFileList()) {
            FileDescriptor[] imported = file.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
            last = FileDescriptor.buildFrom(file, imported);
            files.put(file.getName(), last);
        }
        COMPILED.put(schema, last);
        return last;
    }

    private static Descriptor descriptor(String schema, int[] path) throws Exception {
        Descriptor descriptor = compile(schema).getMessageTypes().get(path[0]);
        for (int i = 1; i < path.length; i++) descriptor = descriptor.getNestedTypes().get(path[i]);
        return descriptor;
    }

    /** The message indexes: how many, and each; a single zero for the first message of the file. */
    private static int[] path(ByteBuffer buffer) {
        int[] path = new int[ByteUtils.readVarint(buffer)];
        if (path.length == 0) return new int[] {0};
        for (int i = 0; i < path.length; i++) path[i] = ByteUtils.readVarint(buffer);
        return path;
    }

    private static byte[] message(int id, int[] path, DynamicMessage message) {
        ByteBuffer buffer = ByteBuffer.allocate(64 + message.getSerializedSize());
        buffer.put((byte) 0).putInt(id);
        if (path.length == 1 && path[0] == 0) {
            ByteUtils.writeVarint(0, buffer);
        } else {
            ByteUtils.writeVarint(path.length, buffer);
            for (int index : path) ByteUtils.writeVarint(index, buffer);
        }
        buffer.put(message.toByteArray());
        byte[] bytes = new byte[buffer.position()];
        buffer.flip().get(bytes);
        return bytes;
    }
}
