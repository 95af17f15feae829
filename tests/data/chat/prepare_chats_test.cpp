// Chats as inputs of prepare_inputs(): what is trained, what is left out, what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "data/corpus_identity.h"
#include "data/corpus_summary.h"
#include "data/corpus_text.h"
#include "data/sources/corpus_spool.h"
#include "data/sources/prepare_inputs.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

std::string chat(const std::string& question, const std::string& answer) {
  return R"({"messages": [{"role": "user", "content": ")" + question +
         R"("}, {"role": "assistant", "content": ")" + answer + "\"}]}\n";
}

class PrepareChatsTest : public ::testing::Test {
 protected:
  PrepareChatsTest() {
    request_.output = folder_ / "out";
    request_.tokenizer = "train:300";
    request_.heldout_fraction = 0.2;
    request_.threads = 2;
    request_.parse.chat = ChatTemplate::kPlain;
  }

  PrepareReport prepare(const std::string& content, const std::string& name = "a.jsonl") {
    write_file_atomically(folder_ / name, content);
    request_.inputs = {(folder_ / name).string()};
    return prepare_inputs(request_, {});
  }
  /// All documents with what is trained in brackets.
  [[nodiscard]] std::set<std::string> documents() const {
    const Tokenizer tokenizer = read_tokenizer_json(folder_ / "out" / kTokenizerFile);
    std::set<std::string> result;
    for (const char* part : {kTrainFile, kHeldoutFile}) {
      const TokenDataset dataset(folder_ / "out" / part);
      EXPECT_FALSE(dataset.header().trained.all());
      for (std::int64_t d = 0; d < dataset.document_count(); ++d) {
        std::string text;
        visit_text(dataset, tokenizer, d,
                   [&](const std::string& t, bool trained) { text += trained ? "[" + t + "]" : t; });
        result.insert(text);
      }
    }
    return result;
  }
  [[nodiscard]] static std::string notices(const PrepareReport& report) {
    std::string all;
    for (const std::string& notice : report.notices) all += notice + "\n";
    return all;
  }

  test::ScratchFolder folder_;
  InputsRequest request_;
};

TEST_F(PrepareChatsTest, StoresWhatTheAssistantSaysAsTrained) {
  prepare(chat("One?", "1.") + chat("Two?", "2.") + R"({"prompt": "3 is", "completion": " three"})");
  EXPECT_EQ(documents(),
            (std::set<std::string>{"User: One?\nAssistant:[ 1.<|endoftext|>]",
                                   "User: Two?\nAssistant:[ 2.<|endoftext|>]", "3 is[ three<|endoftext|>]"}));
}

TEST_F(PrepareChatsTest, GivesANewTokenizerTheTokensOfTheTemplate) {
  request_.parse.chat = ChatTemplate::kLlama3;
  prepare(chat("One?", "1.") + chat("<|eot_id|>", "2."));
  EXPECT_EQ(documents(),
            (std::set<std::string>{
                "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nOne?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n[1.<|eot_id|>]<|endoftext|>",
                "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<|eot_id|><|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n[2.<|eot_id|>]<|endoftext|>"}));
  const Tokenizer tokenizer = read_tokenizer_json(folder_ / "out" / kTokenizerFile);
  EXPECT_EQ(std::ssize(tokenizer.vocabulary().specials), 5);
}

TEST_F(PrepareChatsTest, CountsTrainedAndContextTokens) {
  prepare(chat("One?", "1.") + chat("Two?", "2.") + chat("Three?", "3."));
  const CorpusSummary summary = summarize_corpus(folder_ / "out");
  ASSERT_EQ(summary.domains.size(), 1U);
  std::int64_t trained = 0;
  for (const char* part : {kTrainFile, kHeldoutFile}) {
    const TokenDataset dataset(folder_ / "out" / part);
    trained += dataset.header().trained.count(0, dataset.token_count());
  }
  EXPECT_EQ(summary.domains[0].train.trained + summary.domains[0].heldout.trained, trained);
  EXPECT_LT(trained, summary.domains[0].train.tokens + summary.domains[0].heldout.tokens);
  EXPECT_NE(to_text(summary).find("the others are context"), std::string::npos);
  EXPECT_NE(to_json(summary).find("\"trained_tokens\": " + std::to_string(trained)) == std::string::npos,
            summary.domains[0].heldout.trained == 0);
}

TEST_F(PrepareChatsTest, CountsAndNamesWhatIsNoChat) {
  const PrepareReport report =
      prepare(chat("One?", "1.") + "{\"text\": \"x\"}\n" + chat("Two?", "2.") + chat("Two?", "2.") +
              R"({"messages": [{"role": "bot", "content": "x"}]})"
              "\n" +
              R"({"messages": [{"role": "user", "content": "x"}]})"
              "\n" +
              R"({"messages": [{"role": "assistant", "content": 5}]})"
              "\n" +
              chat("Three?", " ") + "no json\n");
  EXPECT_EQ(documents().size(), 2U);
  for (const char* expected :
       {"left out 1 documents (7 bytes): broken lines, first ", "a.jsonl:9: no JSON object",
        "without a conversation, first ",
        "a.jsonl:2: neither 'messages' nor 'prompt' and 'completion', but: text",
        "with a message of an unknown role", "a.jsonl:5: message 1: its role 'bot'",
        "without an answer of the assistant", "a.jsonl:6", "with a message that is no text",
        "a.jsonl:7: message 1: its 'content' is number", "empty, first ", "a.jsonl:8", "duplicates"}) {
    EXPECT_NE(notices(report).find(expected), std::string::npos) << expected << " in\n" << notices(report);
  }
  request_.max_errors = 4;
  request_.output = folder_ / "other";
  expect_error(ErrorCode::kConfig, "5 broken documents, more than --max-errors 4",
               [&] { (void)prepare(read_file(folder_ / "a.jsonl", 1 << 16)); });
}

TEST_F(PrepareChatsTest, KeepsChatsOfEqualTextThatDifferInWhatIsTrained) {
  prepare(R"({"prompt": "a b", "completion": " c"})"
          "\n"
          R"({"prompt": "a", "completion": " b c"})"
          "\n");
  EXPECT_EQ(documents(), (std::set<std::string>{"a b[ c<|endoftext|>]", "a[ b c<|endoftext|>]"}));
}

TEST_F(PrepareChatsTest, RefusesWhatIsNoChatFileAndATokenizerWithoutItsTokens) {
  expect_error(ErrorCode::kConfig, "a.txt: --chat reads JSON lines", [&] { prepare("Hi", "a.txt"); });
  prepare(chat("One?", "1.") + chat("Two?", "2."));
  request_.tokenizer = (folder_ / "out").string();
  request_.output = folder_ / "chatml";
  request_.parse.chat = ChatTemplate::kChatml;
  expect_error(ErrorCode::kConfig, "no special token <|im_start|>, <|im_end|>: take --chat plain",
               [&] { prepare(chat("One?", "1.") + chat("Two?", "2.")); });
  EXPECT_FALSE(std::filesystem::exists(folder_ / "chatml"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "chatml.unfinished"));
}

TEST_F(PrepareChatsTest, WorksAgainWhenOnlyTheTemplateIsOther) {
  const std::string chats = chat("One?", "1.") + chat("Two?", "2.");
  EXPECT_TRUE(prepare(chats).worked);
  const CorpusIdentity plain = identify_corpus(folder_ / "out");
  EXPECT_FALSE(prepare_inputs(request_, {}).worked);
  request_.parse.chat = ChatTemplate::kChatml;
  EXPECT_TRUE(prepare_inputs(request_, {}).worked);
  EXPECT_NE(identify_corpus(folder_ / "out"), plain);
}

TEST(CorpusSpoolOfChats, TakesUpWhatIsTrainedOfTheDocumentsThatItKeeps) {
  const test::ScratchFolder folder;
  const std::vector<std::int32_t> tokens{1, 2, 3, 4, 0};
  const auto record = [](std::uint64_t number, std::int32_t domain) {
    return DocumentRecord{.hash = {0, number}, .bytes = 4, .domain = domain};
  };
  {
    CorpusSpool spool(folder.path(), 2);
    spool.append(record(1, 1), tokens, std::vector<std::int64_t>{0, 1, 3, 5});
    spool.append(record(2, 0), tokens, std::vector<std::int64_t>{2, 5});
    EXPECT_EQ(spool.flush(), 2);
    spool.append(record(3, 0), tokens, std::vector<std::int64_t>{1, 2});
    spool.flush();  // and then it was interrupted, before the journal knew
  }
  CorpusSpool spool(folder.path(), 2, 2);
  spool.append(record(4, 0), tokens, std::vector<std::int64_t>{0, 2});
  TokenFileHeader header;
  header.domain_names = {"a", "b"};
  header.vocab_size = 5;
  header.token_bytes.assign(5, 1);
  spool.write_token_file(folder / "tokens.h5", header, false, true);
  const TokenDataset dataset(folder / "tokens.h5");
  // Sorted by domain: documents 2, 4, 1; spans that touch are one.
  EXPECT_EQ(dataset.header().trained.borders(), (std::vector<std::int64_t>{2, 7, 10, 11, 13, 15}));
  EXPECT_EQ(dataset.token_count(), 15);
}

}  // namespace
}  // namespace troupe::data
