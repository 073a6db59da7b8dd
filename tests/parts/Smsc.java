import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Date;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.jsmpp.PDUStringException;
import org.jsmpp.SMPPConstant;
import org.jsmpp.bean.*;
import org.jsmpp.extra.ProcessRequestException;
import org.jsmpp.session.*;
import org.jsmpp.session.connection.ServerConnection;
import org.jsmpp.session.connection.ServerConnectionFactory;
import org.jsmpp.session.connection.socket.ServerSocketConnection;
import org.jsmpp.util.DeliveryReceiptState;
import org.jsmpp.util.MessageId;

/** An SMSC of jSMPP that prints what it takes as JSON lines and sends delivery receipts. Commands on standard input:
 *  status N (of the next submit_sm), receipts STATE, password P, silent, drop, quit. */
public class Smsc implements ServerMessageReceiverListener {
    static volatile String password = "secret";
    static volatile String receipts = "DELIVRD";
    static volatile boolean silent = false;
    static final AtomicInteger numbers = new AtomicInteger(0xAB00);
    static final ConcurrentLinkedQueue<Integer> statuses = new ConcurrentLinkedQueue<>();
    static final ScheduledExecutorService later = Executors.newScheduledThreadPool(2);
    static final CopyOnWriteArrayList<SMPPServerSession> sessions = new CopyOnWriteArrayList<>();

    public static void main(String[] arguments) throws Exception {
        java.net.InetAddress host = java.net.InetAddress.getByName(arguments[1]);
        ServerConnectionFactory loopback = new ServerConnectionFactory() {
            @Override
            public ServerConnection listen(int port) throws java.io.IOException {
                return new ServerSocketConnection(new java.net.ServerSocket(port, 50, host));
            }
            @Override
            public ServerConnection listen(int port, int timeout) throws java.io.IOException { return listen(port); }
            @Override
            public ServerConnection listen(int port, int timeout, int backlog) throws java.io.IOException { return listen(port); }
        };
        SMPPServerSessionListener listener = new SMPPServerSessionListener(Integer.parseInt(arguments[0]), loopback);
        System.out.println("{\"ready\": true}");
        Thread commands = new Thread(Smsc::commands);
        commands.setDaemon(true);
        commands.start();
        Smsc smsc = new Smsc();
        while (true) {
            SMPPServerSession session = listener.accept();
            session.setMessageReceiverListener(smsc);
            later.execute(() -> bind(session));
        }
    }

    static void bind(SMPPServerSession session) {
        try {
            BindRequest request = session.waitForBind(5000);
            if (!request.getPassword().equals(password)) {
                request.reject(SMPPConstant.STAT_ESME_RINVPASWD);
                return;
            }
            request.accept("jsmpp");
            sessions.add(session);
            say("{\"bound\": \"" + request.getSystemId() + "\", \"type\": \"" + request.getBindType() + "\"}");
        } catch (Exception error) {
            session.close();
        }
    }

    static void commands() {
        try (java.util.Scanner in = new java.util.Scanner(System.in)) {
            while (in.hasNextLine()) {
                String[] words = in.nextLine().trim().split(" ");
                switch (words[0]) {
                    case "status" -> statuses.add(Integer.decode(words[1]));
                    case "receipts" -> receipts = words[1];
                    case "password" -> password = words[1];
                    case "silent" -> silent = true;
                    case "loud" -> silent = false;
                    case "drop" -> { for (SMPPServerSession session : sessions) session.close(); sessions.clear(); }
                    case "quit" -> System.exit(0);
                    default -> { }
                }
                say("{\"done\": \"" + words[0] + "\"}");
            }
        }
        System.exit(0);
    }

    @Override
    public SubmitSmResult onAcceptSubmitSm(SubmitSm submit, SMPPServerSession session) throws ProcessRequestException {
        Integer status = statuses.poll();
        String about = "\"to\": \"" + submit.getDestAddress() + "\", \"ton\": " + submit.getDestAddrTon()
            + ", \"from\": \"" + submit.getSourceAddr() + "\", \"coding\": " + submit.getDataCoding()
            + ", \"esm\": " + (submit.getEsmClass() & 0xff) + ", \"registered\": " + submit.getRegisteredDelivery()
            + ", \"octets\": \"" + Base64.getEncoder().encodeToString(submit.getShortMessage()) + "\"";
        if (status != null) {
            say("{\"refused\": " + status + ", " + about + "}");
            throw new ProcessRequestException("refused", status);
        }
        if (silent) {
            say("{\"silent\": true, " + about + "}");
            try { Thread.sleep(60_000); } catch (InterruptedException ended) { Thread.currentThread().interrupt(); }
        }
        int number = numbers.incrementAndGet();
        String id = String.format("%010X", number);
        say("{\"id\": \"" + id + "\", " + about + "}");
        if (submit.getRegisteredDelivery() != 0 && !receipts.equals("NONE")) {
            String state = receipts;
            later.schedule(() -> receipt(session, submit, id, state), 300, TimeUnit.MILLISECONDS);
        }
        try {
            return new SubmitSmResult(new MessageId(id), new OptionalParameter[0]);
        } catch (PDUStringException error) {
            throw new ProcessRequestException(error.getMessage(), SMPPConstant.STAT_ESME_RSYSERR);
        }
    }

    @Override
    public void onAcceptEnquireLink(EnquireLink enquire, Session session) {
        say("{\"enquired\": true}");
    }

    static ProcessRequestException no() {
        return new ProcessRequestException("not here", SMPPConstant.STAT_ESME_RINVCMDID);
    }

    @Override
    public SubmitMultiResult onAcceptSubmitMulti(SubmitMulti pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public QuerySmResult onAcceptQuerySm(QuerySm pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public void onAcceptReplaceSm(ReplaceSm pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public void onAcceptCancelSm(CancelSm pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public BroadcastSmResult onAcceptBroadcastSm(BroadcastSm pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public void onAcceptCancelBroadcastSm(CancelBroadcastSm pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public QueryBroadcastSmResult onAcceptQueryBroadcastSm(QueryBroadcastSm pdu, SMPPServerSession s) throws ProcessRequestException { throw no(); }
    @Override
    public DataSmResult onAcceptDataSm(DataSm pdu, Session s) throws ProcessRequestException { throw no(); }

    static void receipt(SMPPServerSession session, SubmitSm submit, String id, String state) {
        try {
            String sent = id.toLowerCase().replaceFirst("^0+", "");  // as some gateways do: the same id, written otherwise
            DeliveryReceipt receipt = new DeliveryReceipt(sent, 1, 1, new Date(), new Date(),
                DeliveryReceiptState.valueOf(state), "000", "-");
            session.deliverShortMessage("mc", TypeOfNumber.valueOf(submit.getDestAddrTon()),
                NumberingPlanIndicator.valueOf(submit.getDestAddrNpi()), submit.getDestAddress(),
                TypeOfNumber.valueOf(submit.getSourceAddrTon()), NumberingPlanIndicator.valueOf(submit.getSourceAddrNpi()),
                submit.getSourceAddr(), new ESMClass(MessageMode.DEFAULT, MessageType.SMSC_DEL_RECEIPT,
                GSMSpecificFeature.DEFAULT), (byte) 0, (byte) 0, new RegisteredDelivery(0),
                DataCodings.ZERO, receipt.toString().getBytes(StandardCharsets.US_ASCII));
            say("{\"receipt\": \"" + sent + "\", \"state\": \"" + state + "\"}");
        } catch (Exception error) {
            say("{\"receipt_failed\": \"" + error.getClass().getSimpleName() + "\"}");
        }
    }

    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
