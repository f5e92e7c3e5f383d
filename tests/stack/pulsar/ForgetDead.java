import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksIterator;
import org.rocksdb.TransactionDB;
import org.rocksdb.TransactionDBOptions;

/**
 * Removes what a server that was killed held for its lifetime from the metadata in the folder given: its locks, its bookie's
 * registration. Where they are still there, the next server takes them over and removes its own ones again by turns, for ever:
 * the bookie comes and goes, and topics that were opened meanwhile are never read again (apache/pulsar issue 23368).
 */
public final class ForgetDead {
    /** Of a value's header, after its size and format: version, owner, created and modified are longs, then one byte. */
    private static final int EPHEMERAL_AT = 2 * Integer.BYTES + 4 * Long.BYTES;

    public static void main(String[] args) throws Exception {
        RocksDB.loadLibrary();
        try (Options options = new Options();
                TransactionDBOptions own = new TransactionDBOptions();
                TransactionDB db = TransactionDB.open(options, own, args[0])) {
            List<byte[]> dead = new ArrayList<>();
            try (RocksIterator entries = db.newIterator()) {
                for (entries.seekToFirst(); entries.isValid(); entries.next()) {
                    byte[] value = entries.value();
                    if (entries.key()[0] == '/' && isEphemeral(value)) {
                        dead.add(entries.key());
                    }
                }
            }
            for (byte[] key : dead) {
                db.delete(key);
            }
        }
    }

    private static boolean isEphemeral(byte[] value) {
        return value.length > EPHEMERAL_AT
                && ByteBuffer.wrap(value).getInt() > EPHEMERAL_AT
                && value[EPHEMERAL_AT] != 0;
    }
}
