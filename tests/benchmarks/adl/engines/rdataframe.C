// The eight queries with RDataFrame, all functions typed: nothing is left to the
// just-in-time compiler. Four-vectors are computed once per object, in double.

#include <ROOT/RDataFrame.hxx>
#include <ROOT/RVec.hxx>
#include <TH1D.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using ROOT::RVec;
using F = const RVec<float> &;
using I = const RVec<int> &;
using Counts = std::vector<double>;

namespace {

struct Momentum {
   double x, y, z, e;
   Momentum operator+(const Momentum &o) const { return {x + o.x, y + o.y, z + o.z, e + o.e}; }
   double M() const { return std::sqrt(std::max(0.0, e * e - x * x - y * y - z * z)); }
   double Pt() const { return std::sqrt(x * x + y * y); }
};

Momentum Cartesian(double pt, double eta, double phi, double mass)
{
   const double z = pt * std::sinh(eta);
   return {pt * std::cos(phi), pt * std::sin(phi), z, std::sqrt(pt * pt + z * z + mass * mass)};
}

void Momenta(F pt, F eta, F phi, F mass, std::vector<Momentum> &into)
{
   into.resize(pt.size());
   for (std::size_t i = 0; i < pt.size(); ++i)
      into[i] = Cartesian(pt[i], eta[i], phi[i], mass[i]);
}

double Turn(double a, double b)
{
   const double d = a - b;
   return d > M_PI ? d - 2 * M_PI : d < -M_PI ? d + 2 * M_PI : d;
}

struct Axis {
   double low, high;
   ROOT::RDF::TH1DModel Model() const { return {"h", "", 100, low, high}; }
};

Counts Of(ROOT::RDF::RResultPtr<TH1D> h)
{
   Counts counts;
   for (int i = 1; i <= 100; ++i) counts.push_back(h->GetBinContent(i));
   return counts;
}

const Axis kMet{0, 2000}, kJet{15, 60};

} // namespace

Counts q1(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   return Of(df.Histo1D<float>(kMet.Model(), "MET_pt"));
}

Counts q2(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   return Of(df.Histo1D<RVec<float>>(kJet.Model(), "Jet_pt"));
}

Counts q3(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   auto central = [](F pt, F eta) { return pt[ROOT::VecOps::abs(eta) < 1.f]; };
   return Of(df.Define("pt", central, {"Jet_pt", "Jet_eta"}).Histo1D<RVec<float>>(kJet.Model(), "pt"));
}

Counts q4(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   auto two = [](F pt) { return std::count_if(pt.begin(), pt.end(), [](float p) { return p > 40; }) >= 2; };
   return Of(df.Filter(two, {"Jet_pt"}).Histo1D<float>(kMet.Model(), "MET_pt"));
}

Counts q5(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   std::vector<Momentum> p;
   auto z = [&p](F pt, F eta, F phi, F mass, I charge) {
      if (pt.size() < 2) return false;
      Momenta(pt, eta, phi, mass, p);
      for (std::size_t i = 0; i < p.size(); ++i)
         for (std::size_t j = i + 1; j < p.size(); ++j)
            if (charge[i] != charge[j]) {
               const double m = (p[i] + p[j]).M();
               if (m > 60 && m < 120) return true;
            }
      return false;
   };
   return Of(df.Filter(z, {"Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Muon_charge"})
                .Histo1D<float>(kMet.Model(), "MET_pt"));
}

std::vector<Counts> q6(const std::string &path)
{
   struct Best { double pt; float btag; };
   ROOT::RDataFrame df("Events", path);
   std::vector<Momentum> p;
   auto best = [&p](F pt, F eta, F phi, F mass, F btag) {
      Momenta(pt, eta, phi, mass, p);
      const std::size_t n = p.size();
      double smallest = 1e300;
      Best found{};
      std::size_t a = 0, b = 0, c = 0;
      for (std::size_t i = 0; i < n; ++i)
         for (std::size_t j = i + 1; j < n; ++j) {
            const Momentum two = p[i] + p[j];
            for (std::size_t k = j + 1; k < n; ++k) {
               const double distance = std::abs((two + p[k]).M() - 172.5);
               if (distance < smallest) { smallest = distance; a = i; b = j; c = k; }
            }
         }
      found.pt = (p[a] + p[b] + p[c]).Pt();
      found.btag = std::max(std::max(btag[a], btag[b]), btag[c]);
      return found;
   };
   auto tri = df.Filter([](int n) { return n >= 3; }, {"nJet"})
                 .Define("best", best, {"Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "Jet_btag"})
                 .Define("best_pt", [](const Best &x) { return x.pt; }, {"best"})
                 .Define("best_btag", [](const Best &x) { return x.btag; }, {"best"});
   auto ptHist = tri.Histo1D<double>(Axis{15, 40}.Model(), "best_pt");
   auto btagHist = tri.Histo1D<float>(Axis{0, 1}.Model(), "best_btag");
   return {Of(ptHist), Of(btagHist)};
}

Counts q7(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   auto near = [](float eta, float phi, F pts, F etas, F phis) {
      for (std::size_t i = 0; i < pts.size(); ++i)
         if (pts[i] > 10) {
            const double de = double(eta) - etas[i], dp = Turn(phi, phis[i]);
            if (std::sqrt(de * de + dp * dp) < 0.4) return true;
         }
      return false;
   };
   auto sum = [near](F pt, F eta, F phi, F mpt, F meta, F mphi, F ept, F eeta, F ephi) {
      double total = -1;
      for (std::size_t i = 0; i < pt.size(); ++i)
         if (pt[i] > 30 && !near(eta[i], phi[i], mpt, meta, mphi) && !near(eta[i], phi[i], ept, eeta, ephi))
            total = std::max(total, 0.0) + pt[i];
      return total;
   };
   return Of(df.Define("sum", sum,
                       {"Jet_pt", "Jet_eta", "Jet_phi", "Muon_pt", "Muon_eta", "Muon_phi", "Electron_pt",
                        "Electron_eta", "Electron_phi"})
                .Filter([](double s) { return s >= 0; }, {"sum"})
                .Histo1D<double>(Axis{15, 200}.Model(), "sum"));
}

Counts q8(const std::string &path)
{
   ROOT::RDataFrame df("Events", path);
   struct Choice { double distance = 1e300; int flavour = -1; std::size_t i = 0, j = 0; };
   std::vector<Momentum> p;
   auto closest = [&p](int flavour, F pt, F eta, F phi, F mass, I charge, Choice &choice) {
      Momenta(pt, eta, phi, mass, p);
      for (std::size_t i = 0; i < p.size(); ++i)
         for (std::size_t j = i + 1; j < p.size(); ++j)
            if (charge[i] != charge[j]) {
               const double distance = std::abs((p[i] + p[j]).M() - 91.2);
               if (distance < choice.distance) choice = {distance, flavour, i, j};
            }
   };
   auto mt = [closest](float met, float metPhi, F mpt, F meta, F mphi, F mmass, I mcharge, F ept, F eeta, F ephi,
                       F emass, I echarge) {
      Choice choice;
      closest(0, mpt, meta, mphi, mmass, mcharge, choice);
      closest(1, ept, eeta, ephi, emass, echarge, choice);
      if (choice.flavour < 0) return -1.0;
      double best = -1, phi = 0;
      for (int flavour = 0; flavour < 2; ++flavour) {
         F pt = flavour ? ept : mpt;
         F phis = flavour ? ephi : mphi;
         for (std::size_t i = 0; i < pt.size(); ++i)
            if (!(flavour == choice.flavour && (i == choice.i || i == choice.j)) && pt[i] > best) {
               best = pt[i];
               phi = phis[i];
            }
      }
      return std::sqrt(2 * double(met) * best * (1 - std::cos(metPhi - phi)));
   };
   return Of(df.Filter([](int m, int e) { return m + e >= 3; }, {"nMuon", "nElectron"})
                .Define("mt", mt,
                        {"MET_pt", "MET_phi", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Muon_charge",
                         "Electron_pt", "Electron_eta", "Electron_phi", "Electron_mass", "Electron_charge"})
                .Filter([](double m) { return m >= 0; }, {"mt"})
                .Histo1D<double>(Axis{15, 250}.Model(), "mt"));
}
