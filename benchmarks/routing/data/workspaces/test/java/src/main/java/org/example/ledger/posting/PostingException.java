package org.example.ledger.posting;

public class PostingException extends RuntimeException {
    private final String code;

    public PostingException(String code, String message) {
        super(message);
        this.code = code;
    }

    public String code() {
        return code;
    }
}
