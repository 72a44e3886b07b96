// Writes the numbers of a range to a stream with the Kinesis Producer Library,
// each under itself as partition key, packed into aggregates as it sees fit:
// Produce.java HOST PORT REGION STREAM FROM TO TMP.
import com.google.common.util.concurrent.ListenableFuture;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

public class Produce {
  public static void main(String[] args) throws Exception {
    String host = args[0], region = args[2], stream = args[3], tmp = args[6];
    int port = Integer.parseInt(args[1]), from = Integer.parseInt(args[4]), to = Integer.parseInt(args[5]);
    KinesisProducerConfiguration config = new KinesisProducerConfiguration()
        .setCredentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("leat", "leat-secret")))
        .setRegion(region)
        .setKinesisEndpoint(host).setKinesisPort(port)
        .setStsEndpoint(host).setStsPort(port)
        .setCloudwatchEndpoint(host).setCloudwatchPort(port)
        .setMetricsLevel("none")
        .setVerifyCertificate(false)
        .setRecordMaxBufferedTime(500)
        .setTempDirectory(tmp);
    KinesisProducer producer = new KinesisProducer(config);
    // Records that come before the library knows the shards are not aggregated.
    put(producer, stream, from);
    producer.flushSync();
    List<ListenableFuture<UserRecordResult>> results = new ArrayList<>();
    for (int i = from + 1; i < to; i++) {
      results.add(put(producer, stream, i));
    }
    producer.flushSync();
    for (ListenableFuture<UserRecordResult> result : results) {
      if (!result.get().isSuccessful()) {
        throw new IllegalStateException("a record was not taken");
      }
    }
    producer.destroy();
    System.exit(0);
  }

  static ListenableFuture<UserRecordResult> put(KinesisProducer producer, String stream, int i) {
    String text = Integer.toString(i);
    return producer.addUserRecord(stream, text, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
  }
}
