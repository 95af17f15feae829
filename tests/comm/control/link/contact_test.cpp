#include "comm/control/link/contact.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "tests/scratch_folder.h"

namespace troupe::comm {
namespace {

namespace fs = std::filesystem;

class ContactTest : public testing::Test {
 protected:
  void write(const std::string& content) const {
    std::ofstream(path_) << content;
    fs::permissions(path_, fs::perms::owner_read | fs::perms::owner_write);
  }
  [[nodiscard]] ErrorCode error_of_reading() const {
    try {
      (void)read_contact(path_);
    } catch (const Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "reads it";
    return ErrorCode::kInternal;
  }

  test::ScratchFolder folder_;
  fs::path path_ = folder_ / "contact.json";
  Contact contact_{{"10.0.0.7", "fd00::2"}, 40123, make_secret(), 12};
};

TEST_F(ContactTest, ReadsWhatItWrote) {
  write_contact(path_, contact_);
  EXPECT_EQ(read_contact(path_), contact_);
}

TEST_F(ContactTest, OnlyTheOwnerMayReadTheFile) {
  write_contact(path_, contact_);
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  fs::permissions(path_, fs::perms::group_read, fs::perm_options::add);
  EXPECT_EQ(error_of_reading(), ErrorCode::kConfig);
}

TEST_F(ContactTest, RefusesWhatIsNoContact) {
  const std::string secret(64, 'a');
  const auto with = [](const std::string& port, const std::string& hex, const std::string& epoch) {
    return R"({"addresses": ["a"], "port": )" + port + R"(, "secret": ")" + hex + R"(", "epoch": )" + epoch +
           "}";
  };
  write(with("1", secret, "1"));
  EXPECT_EQ(read_contact(path_).port, 1);
  for (const std::string& content :
       {std::string(), std::string("[]"), std::string("{}"), with("0", secret, "1"),
        with("65536", secret, "1"), with("-1", secret, "1"), with("1", secret.substr(1), "1"),
        with("1", std::string(64, 'g'), "1"), with("1", secret, "-1"), with("1", secret, "1.5"),
        with("1", secret, "1") + "x", with("1", secret, R"(1, "more": 1)"), std::string(1 << 20, ' ')}) {
    write(content);
    EXPECT_EQ(error_of_reading(), ErrorCode::kCorrupt) << content.substr(0, 200);
  }
}

TEST_F(ContactTest, RefusesAddressesThatAreNone) {
  for (const std::string addresses : {"[]", R"("a")", R"([""])", R"(["a", 1])"}) {
    write(R"({"addresses": )" + addresses + R"(, "port": 1, "secret": ")" + std::string(64, 'a') +
          R"(", "epoch": 1})");
    EXPECT_EQ(error_of_reading(), ErrorCode::kCorrupt) << addresses;
  }
}

TEST_F(ContactTest, NamesTheFileThatIsMissing) {
  try {
    (void)read_contact(path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path_.string()), std::string::npos);
  }
}

TEST(Secret, IsNeverTheSameTwice) { EXPECT_NE(make_secret(), make_secret()); }

}  // namespace
}  // namespace troupe::comm
